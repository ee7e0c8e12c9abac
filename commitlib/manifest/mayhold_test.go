package manifest

import (
	"testing"

	"firn/commitlib/iceberg"
)

func TestMayHold(t *testing.T) {
	yes := true
	v := func(n int32) []byte { return iceberg.EncodeInt(n) }
	types := []iceberg.Type{iceberg.Int}
	check := func(want bool, s FieldSummary, types []iceberg.Type, partition ...[]byte) {
		t.Helper()
		if got := (&ListEntry{Partitions: []FieldSummary{s}}).MayHold(types, partition); got != want {
			t.Errorf("%+v may hold %v: %t, want %t", s, partition, got, want)
		}
	}
	between := FieldSummary{Lower: v(-3), Upper: v(7)}
	check(true, between, types, v(-3))
	check(true, between, types, v(7))
	check(false, between, types, v(-4))
	check(false, between, types, v(8))
	check(false, between, types, nil)
	check(true, FieldSummary{ContainsNull: true}, types, nil)
	check(false, FieldSummary{ContainsNull: true}, types, v(1))
	check(true, FieldSummary{ContainsNaN: &yes}, []iceberg.Type{iceberg.Float}, iceberg.EncodeFloat(1))
	check(true, between, nil, v(99)) // of a spec that is not known
	check(true, between, types, v(99), v(99))
	if !(&ListEntry{}).MayHold(types, [][]byte{v(1)}) {
		t.Error("a manifest without summaries was ruled out")
	}
}

package glue_test

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"firn/commitlib"
	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
	"firn/perf/peer"
	"firn/perf/tier"
)

// TestCommitsUnderFaultsMinistack is TestCommitsUnderFaults on services that we did not write.
func TestCommitsUnderFaultsMinistack(t *testing.T) {
	l := newLake(t)
	underFaults(t, l.proxy, l.ours, l.store, func() catalog.Catalog { return open(t, config(t, l.proxy.URL, l.account, l.store)) })
}

// TestBesidePyIceberg: PyIceberg appends, expires, adds a column and sets properties while we commit, to a table of
// ours and to one of its own making; some of our answers are lost. Its commits survive, ours land once.
func TestBesidePyIceberg(t *testing.T) {
	l := newLake(t)
	p := startTheirs(t, l.env...)
	made := firnSpec(t)
	ours, theirs := catalog.Ident{Namespace: "shop", Name: "ours"}, catalog.Ident{Namespace: "shop", Name: "theirs"}
	if _, err := l.ours.Create(t.Context(), ours, made); err != nil {
		t.Fatal(err)
	}
	p.do(step{
		"do": "create", "table": theirs.String(), "schema": made.Schema, "properties": made.Properties,
		"spec": map[string]any{"spec-id": 0, "fields": []any{map[string]any{
			"source-id": iceberg.FieldEventTime, "field-id": iceberg.FirstPartitionFieldID, "name": made.Partition.Fields[0].Name, "transform": made.Partition.Fields[0].Transform,
		}}},
	}, nil)
	var updates, gets atomic.Int64
	l.proxy.Hook(func(r *peer.Request) peer.Fault {
		switch {
		case r.Operation == "UpdateTable" && updates.Add(1)%4 == 0:
			return peer.Fault{Lose: true}
		case r.Operation == "GetTable" && gets.Add(1)%5 == 0:
			return peer.Fault{Answer: says(400, "ThrottlingException", "Rate exceeded")}
		}
		return peer.Fault{}
	})
	commits := tier.Pick(5, 5, 30)
	for _, id := range []catalog.Ident{ours, theirs} {
		s, c := newSender(t, l.store, l.load(id)), committer(l.ours, l.store)
		var want []string
		// together has us commit while PyIceberg takes a step: a few times in any case, and not so often that a slower
		// rival never comes to its turn.
		together := func(name string, x step) {
			t.Helper()
			x["do"], x["table"] = name, id.String()
			p.begin(x)
			for n := 0; n < commits || n < 4*commits && !p.answered(); n++ {
				r := s.stage(2)
				commit(t, c, r)
				want = append(want, fmt.Sprintf("%s:%d", r.Log, r.First), fmt.Sprintf("%s:%d", r.Log, r.Last))
			}
			var answer struct{ Conflicts int }
			p.end(&answer)
			t.Logf("%s, %s: PyIceberg met %d conflicts; we stand at %d", id, name, answer.Conflicts, s.last)
		}
		together("append", step{"log": "x", "first": 1, "last": 4 * commits, "commits": commits})
		together("add_column", step{"name": "later"})
		together("set_properties", step{"color": "green"})
		together("expire", step{})
		together("append", step{"log": "y", "first": 1, "last": 3, "commits": 1})
		for n := range 4 * commits {
			want = append(want, fmt.Sprintf("x:%d", n+1))
		}
		want = append(want, "y:1", "y:2", "y:3")

		var got struct{ Rows []string }
		p.do(step{"do": "scan", "table": id.String()}, &got)
		slices.Sort(got.Rows)
		slices.Sort(want)
		if !slices.Equal(got.Rows, want) {
			t.Errorf("%s: PyIceberg reads %d rows, want %d", id, len(got.Rows), len(want))
		}
		now := l.load(id)
		if _, ok := now.Metadata.CurrentSchema().FieldByID(8); !ok || now.Metadata.Properties["color"] != "green" {
			t.Errorf("%s: what PyIceberg changed is not there: %v", id, now.Metadata.Properties)
		}
		mark, err := commitlib.ReadWatermark(t.Context(), l.store, now, s.log)
		if err != nil || mark != s.last {
			t.Errorf("%s: watermark %d (%v), want %d", id, mark, err, s.last)
		}
		// PyIceberg copies properties into the entry: ours must not leave an old watermark there.
		commit(t, c, s.stage(1))
		p := l.rawTable(id)["Parameters"].(map[string]any)
		if now = l.load(id); p[commitlib.PropWatermarks] != now.Metadata.Properties[commitlib.PropWatermarks] || p["color"] != "green" {
			t.Errorf("%s: the entry shows the properties %v", id, p)
		}
	}
}

package e2e

import (
	"fmt"
	"testing"
)

// Expected is what a table must hold: every event that was acked, by its name.
type Expected map[ID]Row

// Add notes acked events. Their rows have no ingest time: that is the daemon's to set; low and high bound it.
func (e Expected) Add(t testing.TB, r Row) {
	t.Helper()
	id := ID{r.Log, r.Sequence}
	if old, ok := e[id]; ok {
		t.Fatalf("the daemon gave %v twice: to %.200q and to %.200q", id, old.Payload, r.Payload)
	}
	e[id] = r
}

// Compare reads the table with an engine and wants exactly the expected rows: none missing, none doubled, none changed,
// none that nobody sent. Ingest times must lie in [from, to], microseconds.
func (e Expected) Compare(t testing.TB, engine, table string, from, to int64) {
	t.Helper()
	seen := make(map[ID]bool, len(e))
	wrong := 0
	complain := func(format string, args ...any) {
		if wrong++; wrong <= 10 {
			t.Errorf("%s: %s", engine, fmt.Sprintf(format, args...))
		}
	}
	ReadRows(t, engine, table, func(got Row) {
		id := ID{got.Log, got.Sequence}
		want, ok := e[id]
		if !ok {
			complain("a row that was never acked: %.300v", got)
			return
		}
		if seen[id] {
			complain("%v is there twice", id)
		}
		seen[id] = true
		if got.IngestTime < from || got.IngestTime > to {
			complain("%v: ingest time %d is not between %d and %d", id, got.IngestTime, from, to)
		}
		got.IngestTime = 0
		if got != want {
			complain("%v: read %.300v, want %.300v", id, got, want)
		}
	})
	missing := 0
	for id, want := range e {
		if !seen[id] {
			if missing++; missing <= 5 {
				complain("%v is missing: %.200q", id, want.Payload)
			}
		}
	}
	if missing > 0 {
		complain("%d of %d acked events are missing", missing, len(e))
	}
	if wrong > 10 {
		t.Errorf("%s: %d differences in all", engine, wrong)
	}
}

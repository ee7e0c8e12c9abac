package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// A judge that overlooks something would let every kill pass: each kind of harm must be noticed.
func TestJudge(t *testing.T) {
	const log = "01a20731-2357-7174-8605-30efae0e1893"
	// Producer 0 sent nine events: 1 to 6 acked, 7 refused, 8 open and stored, 9 open and lost.
	l := NewLedger()
	var good []Row
	for n := 1; n <= 9; n++ {
		s := &sent{Event: Event{TimeMs: int64(n), Payload: fmt.Appendf(nil, `{"producer":0,"n":%d}`, n)}, table: "clicks"}
		switch {
		case n <= 6:
			s.fate, s.id = acked, ID{log, int64(n)}
			good = append(good, s.Row(log, int64(n)))
		case n == 7:
			s.fate = refused
		case n == 8:
			good = append(good, s.Row(log, 7))
		}
		l.note(s)
	}
	// f harms the good rows and wants a complaint that says so; "" wants none.
	f := func(name, want string, harm func(rows []Row) []Row) {
		t.Helper()
		rows := harm(slices.Clone(good))
		wrong, _ := l.judge([]string{"clicks"}, func(_ string, fn func(Row)) {
			for _, r := range rows {
				fn(r)
			}
		})
		if want == "" && len(wrong) > 0 {
			t.Errorf("%s: complains: %v", name, wrong)
		}
		if want != "" && !slices.ContainsFunc(wrong, func(w string) bool { return strings.Contains(w, want) }) {
			t.Errorf("%s: does not complain of %q: %v", name, want, wrong)
		}
	}
	f("nothing", "", func(r []Row) []Row { return r })
	f("any order of reading", "", func(r []Row) []Row { slices.Reverse(r); return r })
	f("an open event is lost", "", func(r []Row) []Row { return r[:6] })
	f("an acked event is lost", "1 of 6 acked events are not in the tables", func(r []Row) []Row { return slices.Delete(r, 5, 6) })
	f("all are lost", "6 of 6", func([]Row) []Row { return nil })
	f("an acked event is doubled", "is there 2 times", func(r []Row) []Row { return append(r, r[3]) })
	f("an open event is doubled in another log", "is there 2 times", func(r []Row) []Row {
		again := r[6]
		again.Log, again.Sequence = "02"+log[2:], 1
		return append(r, again)
	})
	f("a refused event is there", "was refused", func(r []Row) []Row {
		return append(r, l.events[6].Row(log, 8))
	})
	f("a row nobody sent", "nobody sent", func(r []Row) []Row {
		return append(r, Row{Log: log, Sequence: 8, Payload: "x"})
	})
	f("another sequence", "was acked as", func(r []Row) []Row {
		r[0].Sequence, r[1].Sequence = 2, 1
		return r
	})
	f("out of order", "comes after", func(r []Row) []Row {
		r[6].Sequence, r[0].Sequence = 1, 7
		return r
	})
	f("a gap", "sequence 8 where 7 follows", func(r []Row) []Row { r[6].Sequence = 8; return r })
	f("another time", "read", func(r []Row) []Row { r[2].EventTime++; return r })
	f("another key", "read", func(r []Row) []Row { r[2].HasKey = true; return r })
}

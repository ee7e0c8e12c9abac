package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Verify reads the tables with an engine and judges what they hold.
func (l *Ledger) Verify(t testing.TB, engine string, w Warehouse, tables ...string) {
	t.Helper()
	l.VerifyRows(t, engine, func(table string, fn func(Row)) { w.Read(t, engine, table, fn) }, tables...)
}

// VerifyRows judges the rows that read gives.
func (l *Ledger) VerifyRows(t testing.TB, engine string, read func(table string, fn func(Row)), tables ...string) {
	t.Helper()
	wrong, summary := l.judge(tables, read)
	for i, w := range wrong {
		if i == 20 {
			t.Errorf("%s: %d differences in all", engine, len(wrong))
			break
		}
		t.Errorf("%s: %s", engine, w)
	}
	t.Logf("%s: %s", engine, summary)
}

// judge wants: each acked event once, under its sequence; each open one at most once; no refused one,
// and nothing that nobody sent; sequences dense from 1 in each log; a producer's events in the order
// it sent them. It returns what is wrong.
func (l *Ledger) judge(tables []string, read func(table string, fn func(Row))) (wrong []string, summary string) {
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	byPayload := make(map[string]*sent, len(l.events))
	counts := map[fate]int{}
	for _, s := range l.events {
		byPayload[s.table+" "+string(s.Payload)] = s
		counts[s.fate]++
	}
	found := make(map[*sent]int, len(byPayload))
	rows, logsSeen := 0, 0
	for _, table := range tables {
		var order []Row
		read(table, func(r Row) {
			rows++
			s := byPayload[table+" "+r.Payload]
			switch {
			case s == nil:
				complain("%s: nobody sent %.300v", table, r)
				return
			case s.fate == refused:
				complain("%s: %s was refused, and is there", table, r.Payload)
			case s.fate == acked && s.id != (ID{r.Log, r.Sequence}):
				complain("%s: %s was acked as %v, and is there as %s/%d", table, r.Payload, s.id, r.Log, r.Sequence)
			}
			if found[s]++; found[s] > 1 {
				complain("%s: %s is there %d times", table, r.Payload, found[s])
			}
			if want := s.Row(r.Log, r.Sequence); r.Partition != want.Partition || r.EventTime != want.EventTime || r.Key != want.Key || r.HasKey != want.HasKey {
				complain("%s: read %.300v, want %.300v", table, r, want)
			}
			order = append(order, r)
		})
		// Logs are ordered by their ids.
		slices.SortFunc(order, func(a, b Row) int {
			if c := strings.Compare(a.Log, b.Log); c != 0 {
				return c
			}
			return int(a.Sequence - b.Sequence)
		})
		last := map[int32]int{}
		for i, r := range order {
			want := int64(1)
			if i > 0 && order[i-1].Log == r.Log {
				want = order[i-1].Sequence + 1
			} else {
				logsSeen++
			}
			if r.Sequence != want {
				complain("%s: log %s: sequence %d where %d follows", table, r.Log, r.Sequence, want)
			}
			s := byPayload[table+" "+r.Payload]
			if s == nil || s.again {
				continue
			}
			var producer, n int
			fmt.Sscanf(r.Payload, `{"producer":%d,"n":%d}`, &producer, &n)
			if n <= last[r.Partition] {
				complain("%s: producer %d: its event %d comes after its event %d", table, producer, n, last[r.Partition])
			}
			last[r.Partition] = n
		}
	}
	lost := 0
	for s := range found {
		if s.fate == acked {
			lost--
		}
	}
	if lost += counts[acked]; lost > 0 {
		complain("%d of %d acked events are not in the tables", lost, counts[acked])
	}
	return wrong, fmt.Sprintf("%d rows of %d logs; %d acked, %d open, %d refused", rows, logsSeen, counts[acked], counts[open], counts[refused])
}

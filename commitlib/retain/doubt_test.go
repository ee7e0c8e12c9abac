package retain

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"firn/commitlib/iceberg"
	"firn/commitlib/maintain"
)

const day = 24 * time.Hour

func (w *world) force(k *Keeper) *Report {
	w.Helper()
	out, err := k.Run(w.Context(), w.id, maintain.Options{Force: true})
	w.must(err)
	return out.(*Report)
}

// A clock that is weeks ahead for less than a day has nothing removed, whatever is committed meanwhile: by a keeper that
// knew the clock before, and by one that did not.
func TestWrongClockRemovesNothing(t *testing.T) {
	for _, knew := range []bool{false, true} {
		w := newWorld(t)
		k := w.keeper(30 * day)
		for range 50 {
			w.append(0, true)
			w.now = w.now.Add(time.Hour)
			if knew {
				w.run(k, false)
			}
		}
		old := w.files()
		w.now = w.now.Add(40 * day)
		for n := range 140 {
			if rep := w.run(k, false); rep.Files > 0 {
				t.Fatalf("after %d commits: %+v", n, rep)
			}
			w.append(0, true)
			w.now = w.now.Add(10 * time.Second)
		}
		live := w.files()
		for _, f := range old {
			if !slices.Contains(live, f) {
				t.Errorf("%s is gone", f)
			}
		}
	}
}

// A clock that stays wrong is found out by a store that has its own.
func TestStoresClockKeepsEvents(t *testing.T) {
	w := newWorld(t)
	for range 5 {
		w.append(0, true)
		w.now = w.now.Add(time.Hour)
	}
	k := w.keeper(30 * day)
	w.ahead = 40 * day
	w.now = w.now.Add(w.ahead)
	for range 50 {
		w.append(0, true)
		w.now = w.now.Add(time.Hour)
		if rep := w.run(k, false); rep.Files > 0 {
			t.Fatalf("removed: %+v", rep)
		}
	}
	rep := w.run(k, false)
	if len(w.files()) != 55 || !strings.Contains(rep.Stopped, "the store's") {
		t.Errorf("%d files, report %+v", len(w.files()), rep)
	}
	w.ahead = 0 // it was the store's that was wrong
	if rep := w.run(k, false); rep.Files != 5 {
		t.Errorf("report: %+v", rep)
	}
}

// The events of a table that nobody writes to any more leave as well, once the clock has gone evenly for a day.
func TestIdleTableLosesOldEvents(t *testing.T) {
	w := newWorld(t)
	for range 5 {
		w.append(0, true)
	}
	w.now = w.now.Add(40 * day)
	k := w.keeper(30 * day)
	began := w.now
	for len(w.files()) > 0 && w.now.Before(began.Add(3*day)) {
		if rep := w.run(k, false); rep.Files == 0 && rep.Doubt == "" {
			t.Fatalf("nothing says why the events stay: %+v", rep)
		}
		w.now = w.now.Add(time.Hour)
	}
	if took := w.now.Sub(began); took < day || took > day+2*time.Hour {
		t.Errorf("they left after %s", took)
	}
	w.append(0, true)
	w.now = w.now.Add(40 * day) // nobody looked meanwhile
	if rep := w.run(k, false); rep.Files > 0 {
		t.Errorf("a clock that jumped: %+v", rep)
	}
	if rep := w.force(k); rep.Files != 1 {
		t.Errorf("on somebody's word: %+v", rep)
	}
}

// A retention that would take most of a table, and more than a day of it, takes nothing before somebody has looked.
func TestMostOfATableStays(t *testing.T) {
	w := newWorld(t)
	for n := range 10 {
		w.append(time.Duration(10-n)*day, true)
	}
	if rep := w.run(w.keeper(8*day), false); rep.Files != 2 {
		t.Errorf("two of ten: %+v", rep)
	}
	k := w.keeper(time.Hour)
	for _, dry := range []bool{true, false} {
		rep := w.run(k, dry)
		if len(w.files()) != 8 || !strings.Contains(rep.Stopped, "force") || dry != (rep.Files == 8) {
			t.Errorf("all of them, dry %v: %+v", dry, rep)
		}
	}
	if rep := w.force(k); rep.Files != 8 || rep.Stopped != "" || len(w.files()) != 0 {
		t.Errorf("on somebody's word: %+v", rep)
	}

	// What came in one burst leaves in one.
	for range 10 {
		w.append(0, true)
	}
	w.now = w.now.Add(20 * time.Hour)
	w.append(0, true)
	if rep := w.run(k, false); rep.Files != 10 || rep.Stopped != "" {
		t.Errorf("a burst: %+v", rep)
	}
}

// A file whose manifest does not say that each of its events has a time stays.
func TestNullTimesStay(t *testing.T) {
	w := newWorld(t)
	for _, nulls := range []map[int]int64{nil, {iceberg.FieldEventTime: 1}} {
		w.edit = func(f *iceberg.DataFile) { f.NullValueCounts = nulls }
		w.append(10*day, true)
	}
	if rep := w.run(w.keeper(day), false); rep.Files != 0 || rep.Unknown != 2 {
		t.Errorf("report: %+v", rep)
	}
}

func TestReportWithoutRetention(t *testing.T) {
	w := newWorld(t)
	w.append(0, true)
	text, err := json.Marshal(w.run(w.keeper(0), false))
	w.must(err)
	if strings.Contains(string(text), "before") {
		t.Errorf("report %s", text)
	}
}

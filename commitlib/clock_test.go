package commitlib

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"
)

// A clock that is far ahead for less than a day, through any number of commits, has no snapshot expired that the right
// clock would keep.
func TestWrongClockExpiresNothing(t *testing.T) {
	const day = 24 * time.Hour
	ages := map[string]time.Duration{"default": 0, "ten minutes": 10 * time.Minute, "a year": 365 * day}
	for name, age := range ages {
		for _, apart := range []time.Duration{10 * time.Second, 10 * time.Minute} {
			for _, ahead := range []time.Duration{2 * day, 400 * day} {
				t.Run(name+", "+apart.String()+" apart, "+ahead.String()+" ahead", func(t *testing.T) {
					history := func(skew time.Duration) (p *past, known int64) {
						p = newPast(t, keepNewest)
						if age > 0 {
							p.set(map[string]string{propMaxSnapshotAge: strconv.FormatInt(age.Milliseconds(), 10)})
						}
						for range 600 {
							p.commit(apart, nil)
						}
						known = p.last
						p.commit(skew+10*time.Second, nil)
						for range 150 { // 25 minutes
							p.commit(10*time.Second, nil)
						}
						p.now = p.now.Add(-skew)
						for range 50 {
							p.commit(10*time.Second, nil)
						}
						return p, known
					}
					right, known := history(0)
					wrong, _ := history(ahead)
					lost := 0
					for _, id := range right.ids() {
						if id <= known && !wrong.has(id) {
							lost++
						}
					}
					if lost > 0 {
						t.Errorf("%d snapshots that the right clock keeps are gone", lost)
					}
				})
			}
		}
	}
}

// A table that was idle keeps what it had for another day, with no more snapshots than any, and then goes on as ever.
func TestIdleTableExpiresADayLater(t *testing.T) {
	const day = 24 * time.Hour
	for _, age := range []time.Duration{10 * time.Minute, 5 * day} {
		p := newPast(t, keepNewest)
		p.set(map[string]string{propMaxSnapshotAge: strconv.FormatInt(age.Milliseconds(), 10)})
		for range 600 {
			p.commit(time.Minute, nil)
		}
		old := p.last
		p.commit(7*day, nil)
		back, most := p.now, 0
		for p.now.Before(back.Add(20 * time.Hour)) {
			p.commit(20*time.Second, nil)
			most = max(most, len(p.m.Snapshots))
		}
		if !p.has(old) {
			t.Errorf("age %s: the last snapshot before the pause went within a day", age)
		}
		if limit := 2*(keepNewest+keepOlder) + keepNewest/expirePart + 8; most > limit {
			t.Errorf("age %s: %d snapshots, want %d at the most", age, most, limit)
		}
		for p.now.Before(back.Add(30 * time.Hour)) {
			p.commit(20*time.Second, nil)
		}
		for id := int64(1); id <= old; id++ {
			if p.has(id) {
				t.Fatalf("age %s: snapshot %d is still there", age, id)
			}
		}
		if want := p.now; !TrustedTime(p.m, want).Equal(want) {
			t.Errorf("age %s: the time is in doubt still", age)
		}
	}
}

func TestTrustedTime(t *testing.T) {
	const hour = time.Hour
	rng := rand.New(rand.NewPCG(1, 2))
	p := newPast(t, keepNewest)
	check := func(what string, now, want time.Time) {
		t.Helper()
		if got := TrustedTime(p.m, now); !got.Equal(want) {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	check("no commit yet", p.now.Add(1000*hour), p.now.Add(1000*hour))
	for range 2000 {
		p.commit(time.Duration(rng.Int64N(int64(2*hour))), nil)
		check("commits as they come", p.now, p.now)
	}
	last := p.now.Truncate(time.Millisecond)
	check("a day later", last.Add(25*hour), last.Add(25*hour))
	check("days later", last.Add(27*hour), last)
	p.commit(100*hour, nil)
	check("a commit days later", p.now, last)
	check("a day after that", p.now.Add(25*hour), last)
	check("two days after that, without another", p.now.Add(48*hour), p.now.Truncate(time.Millisecond))
	p.commit(20*hour, nil)
	p.commit(20*hour, nil)
	check("and after others", p.now, p.now)
}

// Where the store tells another time, no snapshot goes, for as long as that is so.
func TestStoresClockKeepsSnapshots(t *testing.T) {
	w := newWorld(t)
	ahead := 4 * time.Minute
	w.store.SetClock(func() time.Time { return w.clock().Add(-ahead) }, w.sleep)
	c := New(w.cat, w.store, w.tidy())
	a := w.log()
	n := Seq(0)
	commits := func(more int) (expired uint64) {
		before := c.Counters().Expired
		for range more {
			w.pass(time.Second)
			n++
			w.commit(c, applied, w.request(a, n, n))
		}
		return c.Counters().Expired - before
	}
	if commits(30) == 0 {
		t.Error("nothing expired by a clock that is a little ahead")
	}
	ahead = 6 * time.Minute
	if got := commits(100); got != 0 {
		t.Errorf("%d snapshots expired by a clock that is ahead of the store's", got)
	}
	rw := w.dropping(w.request(a, 1, 1))
	w.rewrite(c, Applied, rw)
	if got := c.Counters().Expired; got > 30 {
		t.Errorf("%d snapshots expired by a rewrite", got)
	}
	rw = w.dropping(w.request(a, 2, 2))
	rw.AsOf = w.clock()
	if res := w.rewrite(c, Dropped, rw); len(w.live()) != int(n)-1 {
		t.Errorf("%d files are live after %+v", len(w.live()), res)
	}
	ahead = 0
	rw.AsOf = w.clock()
	w.rewrite(c, Applied, rw)
	if commits(100) == 0 {
		t.Error("nothing expired once the clock was right")
	}
	want := w.files(w.load())
	if len(want) != int(n)-2 || slices.ContainsFunc(want, func(path string) bool { return path == rw.Remove[0].Path }) {
		t.Errorf("%d files are live", len(want))
	}
}

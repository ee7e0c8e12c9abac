package eventlog

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"firn/ingestd/kv"
	"firn/perf/tier"
)

// oracle knows what must, may and must not be in the log. An event is unset until its append is tried, maybe while
// nobody knows, set once it is acked; payloads are unique, so that an event that is there twice shows.
type oracle struct {
	t      *testing.T
	label  string
	set    map[Track][]string // acked payloads, by sequence - 1
	log    map[Track]string
	maybe  [][]string // payloads of the appends without an answer, each all or nothing
	marks  map[Track]Seq
	cuts   map[Track]Seq
	meta   map[string]string
	keyed  map[string]keyed // by key, of acked and unanswered appends
	serial int
}

// keyed is the event that an idempotency key first came with, and when.
type keyed struct {
	payload string
	at      time.Time
}

const oracleWindow = 30 * time.Second

func newOracle(t *testing.T, label string) *oracle {
	return &oracle{t: t, label: label, set: map[Track][]string{}, log: map[Track]string{}, marks: map[Track]Seq{}, cuts: map[Track]Seq{},
		meta: map[string]string{}, keyed: map[string]keyed{}}
}

func (o *oracle) fatalf(format string, args ...any) {
	o.t.Helper()
	o.t.Fatalf("%s: %s", o.label, fmt.Sprintf(format, args...))
}

// step does one random thing to the log and notes what became of it; it returns the error of a broken log.
func (o *oracle) step(l *Log, rng *rand.Rand, now *time.Time) error {
	tracks := l.Tracks()
	pick := func() TrackInfo { return tracks[rng.IntN(len(tracks))] }
	switch n := rng.IntN(12); {
	case n < 6 || len(tracks) == 0:
		return o.append(l, rng, *now)
	case n == 6:
		i := pick()
		if i.High == i.Cut {
			return nil
		}
		last := i.Cut + 1 + Seq(rng.IntN(int(i.High-i.Cut)))
		err := l.Cut(i.Track, Cut{First: i.Cut + 1, Last: last, SchemaID: 3, SpecID: 4})
		if err == nil {
			o.cuts[i.Track] = last
		}
		return err
	case n == 7:
		i := pick()
		mark := i.Committed + Seq(rng.IntN(int(i.Cut-i.Committed)+1))
		err := l.SetCommitted(i.Track, mark)
		if err == nil {
			o.marks[i.Track] = mark
		}
		return err
	case n == 8:
		*now = now.Add(time.Duration(rng.IntN(60)) * time.Second)
		return l.Trim(*now, func(Table) time.Duration { return time.Duration(rng.IntN(30)) * time.Second })
	case n == 9:
		i := pick()
		cuts, err := l.Cuts(i.Track)
		if err != nil || len(cuts) == 0 {
			return err
		}
		c := cuts[rng.IntN(len(cuts))]
		if rng.IntN(2) == 0 {
			c.Attempt++
			return l.UpdateCut(i.Track, c)
		}
		o.cuts[i.Track] = min(o.cuts[i.Track], c.First-1) // whether or not it is answered
		return l.DropCuts(i.Track, c.Last)
	default:
		k, v := fmt.Sprint("k", rng.IntN(4)), fmt.Sprint("v", o.serial)
		o.serial++
		had, was := o.meta[k]
		delete(o.meta, k) // unknown until it is answered
		err := l.PutMeta(k, []byte(v))
		if err == nil {
			o.meta[k] = v
		} else if was {
			o.meta[k] = had + "\x00" + v
		}
		return err
	}
}

// append appends new events, some of them with keys, some of those repeated.
func (o *oracle) append(l *Log, rng *rand.Rand, now time.Time) error {
	var events, fresh []string
	table := fmt.Sprint("t", rng.IntN(3))
	inside := map[string]bool{}
	for range 1 + rng.IntN(5) {
		o.serial++
		payload := fmt.Sprint("p", o.serial)
		switch rng.IntN(3) {
		case 0:
			key := fmt.Sprint(table, "k", rng.IntN(40))
			if was, known := o.keyed[key]; inside[key] || known && now.Sub(was.at) < oracleWindow {
				payload = was.payload
			} else {
				fresh = append(fresh, payload)
				o.keyed[key] = keyed{payload, now}
			}
			inside[key] = true
			events = append(events, key+"|"+payload)
		default:
			fresh = append(fresh, payload)
			events = append(events, payload)
		}
	}
	a, err := l.put(o.t, table, events...)
	if err != nil {
		if errors.Is(err, ErrBroken) && len(fresh) > 0 {
			o.maybe = append(o.maybe, fresh)
		}
		if errors.As(err, new(*Refusal)) {
			for _, e := range events {
				if k, p, ok := strings.Cut(e, "|"); ok && slices.Contains(fresh, p) { // a key's old event, if any, is past its window
					delete(o.keyed, k)
				}
			}
			return nil
		}
		return err
	}
	o.acked(a, fresh, len(events))
	return nil
}

func (o *oracle) acked(a Appended, fresh []string, n int) {
	o.t.Helper()
	if a.Accepted != len(fresh) || a.Accepted+a.Duplicates != n {
		o.fatalf("%d of %d events are new, the ack says %+v", len(fresh), n, a)
	}
	if a.Accepted == 0 {
		return
	}
	if want := Seq(len(o.set[a.Track])) + 1; a.First != want || a.Last != want+Seq(len(fresh))-1 {
		o.fatalf("ack %+v, want first %d", a, want)
	}
	o.set[a.Track] = append(o.set[a.Track], fresh...)
	if log := o.log[a.Track]; log != "" && log != a.Log.String() {
		o.fatalf("track %d of log %s acks for %v", a.Track, log, a.Log)
	}
	o.log[a.Track] = a.Log.String()
}

// check compares a log that was opened again with what is known, and settles what was not.
func (o *oracle) check(l *Log) {
	o.t.Helper()
	seen := map[Track]bool{}
	for _, i := range l.Tracks() {
		seen[i.Track] = true
		set := o.set[i.Track]
		got := payloads(o.t, l, i.Track)
		if int(i.High) < len(set) {
			o.fatalf("track %d ends at %d, %d are acked", i.Track, i.High, len(set))
		}
		if known := set[min(int(i.Low-1), len(set)):]; !slices.Equal(got[:len(known)], known) {
			o.fatalf("track %d from %d holds %v, acked are %v", i.Track, i.Low, got, known)
		}
		o.settle(i.Track, got[max(0, len(set)-int(i.Low-1)):])
		if i.Committed < o.marks[i.Track] || i.Low > i.Committed+1 || i.Cut < o.cuts[i.Track] || i.Cut < i.Committed || i.Cut > i.High {
			o.fatalf("track %+v, acked watermark %d and cut %d", i, o.marks[i.Track], o.cuts[i.Track])
		}
		o.marks[i.Track], o.cuts[i.Track] = i.Committed, i.Cut
		o.checkBytes(l, i)
	}
	for id, set := range o.set {
		if !seen[id] && o.marks[id] < Seq(len(set)) {
			o.fatalf("track %d is gone: %d acked, %d committed", id, len(set), o.marks[id])
		}
	}
	records := map[string]string{}
	if err := l.IterMeta("", func(k string, v []byte) error { records[k] = string(v); return nil }); err != nil {
		o.fatalf("read records: %v", err)
	}
	for k, want := range o.meta {
		if !slices.Contains(strings.Split(want, "\x00"), records[k]) {
			o.fatalf("record %s is %q, want one of %q", k, records[k], want)
		}
		o.meta[k] = records[k]
	}
	for _, fresh := range o.maybe { // not there: its keys are new again
		for k, p := range o.keyed {
			if slices.Contains(fresh, p.payload) {
				delete(o.keyed, k)
			}
		}
	}
	o.maybe = nil
	checkDedup(o.t, l)
}

// settle takes events beyond the acked ones: they are whole appends that were not answered.
func (o *oracle) settle(id Track, beyond []string) {
	o.t.Helper()
	for len(beyond) > 0 {
		i := slices.IndexFunc(o.maybe, func(m []string) bool { return m[0] == beyond[0] })
		if i < 0 || len(o.maybe[i]) > len(beyond) || !slices.Equal(o.maybe[i], beyond[:len(o.maybe[i])]) {
			o.fatalf("track %d holds %v, nobody appended that; without an answer are %v", id, beyond, o.maybe)
		}
		o.set[id] = append(o.set[id], o.maybe[i]...)
		beyond = beyond[len(o.maybe[i]):]
		o.maybe = slices.Delete(o.maybe, i, i+1)
	}
}

// checkBytes compares a track's counts with the index.
func (o *oracle) checkBytes(l *Log, i TrackInfo) {
	o.t.Helper()
	var live, pending int64
	if i.High >= i.Low {
		if err := l.entries(i.Track, i.Low, func(e indexEntry) error {
			live += int64(e.length)
			if e.last() > i.Cut {
				pending += rawShare(e, max(e.first, i.Cut+1), e.last())
			}
			return nil
		}); err != nil {
			o.t.Fatal(err)
		}
	}
	if live != i.Bytes || pending != i.PendingBytes || i.OldestPending.IsZero() != (i.Cut == i.High) || i.OldestUncommitted.IsZero() != (i.Committed == i.High) {
		o.fatalf("track %+v holds %d bytes, %d pending", i, live, pending)
	}
}

// checkDedup compares the count of remembered bytes with what is remembered.
func checkDedup(t *testing.T, l *Log) {
	t.Helper()
	var n int64
	for _, f := range []kv.Family{kv.Dedup, kv.DedupExpiry} {
		if err := l.store.Iterate(f, nil, nil, false, func(k, v []byte) error { n += int64(len(k) + len(v)); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if n != l.dedup {
		t.Fatalf("keys take %d bytes, counted are %d", n, l.dedup)
	}
}

// crashRun appends, cuts, commits, trims until write k fails, loses the power, starts again and checks; three times
// over, so that what a recovery left is recovered too. It reports whether k was reached.
func crashRun(t *testing.T, seed uint64, k int, fault kv.Fault) bool {
	rng := rand.New(rand.NewPCG(seed, uint64(k)))
	o := newOracle(t, fmt.Sprintf("seed %d, write %d, fault %d", seed, k, fault))
	m := kv.NewMem()
	now := present
	c := testConfig()
	c.Clock = func() time.Time { return now }
	c.DedupWindow, c.MaxBytes, c.MaxTableBytes, c.zoneBytes = oracleWindow, 1<<12, 3<<10, 1<<8
	c.TailBytes = int64(rng.IntN(2) * 4000)
	reached := false
	for run := range 3 {
		m.Fault = func(n int) kv.Fault {
			if n == k {
				reached = true
				return fault
			}
			return kv.None
		}
		if l, err := Open(m, c); err == nil {
			o.label = fmt.Sprintf("seed %d, write %d, fault %d, run %d", seed, k, fault, run)
			o.check(l)
			for range 40 {
				if o.step(l, rng, &now) != nil {
					break
				}
			}
			_ = l.Close()
		}
		m = m.Crash(rng)
	}
	l, err := Open(m, c)
	if err != nil {
		o.fatalf("the last start: %v", err)
	}
	o.check(l)
	for p, times := range count(o.set) {
		if times > 1 {
			o.fatalf("event %s is there %d times", p, times)
		}
	}
	_ = l.Close()
	return reached
}

func count(set map[Track][]string) map[string]int {
	n := map[string]int{}
	for _, list := range set {
		for _, p := range list {
			n[p]++
		}
	}
	return n
}

func TestCrashAtEveryWrite(t *testing.T) {
	for seed := range uint64(tier.Pick(4, 40, 2000)) {
		for _, fault := range []kv.Fault{kv.Lost, kv.Unsure} {
			k := 1
			for crashRun(t, seed, k, fault) {
				k++
			}
			if k < 20 {
				t.Errorf("seed %d: only %d writes were reached", seed, k)
			}
		}
	}
}

// Many callers, a write that fails, a power cut: what was acked is there with its sequence, what was not is there once
// at most, and after everyone has tried again with the same keys, everything is there once.
func TestCrashUnderParallelAppends(t *testing.T) {
	for seed := range uint64(tier.Pick(30, 300, 20000)) {
		rng := rand.New(rand.NewPCG(seed, 0))
		k := 2 + rng.IntN(12)
		m := kv.NewMem()
		m.Fault = func(n int) kv.Fault {
			if n == k {
				return kv.Lost + kv.Fault(seed%2)
			}
			return kv.None
		}
		type place struct {
			track Track
			seq   Seq
		}
		var mu sync.Mutex
		acked := map[place]string{}
		const callers, each = 8, 6
		try := func(l *Log, c, i int) {
			name := fmt.Sprintf("%d.%d", c, i)
			a, err := l.put(t, fmt.Sprint("t", c%2), name+"a|"+name+"a", name+"b|"+name+"b")
			if err != nil || a.Accepted == 0 {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			acked[place{a.Track, a.First}] = name + "a"
			acked[place{a.Track, a.Last}] = name + "b"
		}
		l := mustOpen(t, m, testConfig())
		var wg sync.WaitGroup
		for c := range callers {
			wg.Go(func() {
				for i := range each {
					try(l, c, i)
				}
			})
		}
		wg.Wait()
		l = mustOpen(t, m.Crash(rng), testConfig())
		there := func() map[string]int {
			n := map[string]int{}
			for _, i := range l.Tracks() {
				for j, p := range payloads(t, l, i.Track) {
					n[p]++
					if want, ok := acked[place{i.Track, i.Low + Seq(j)}]; ok && want != p {
						t.Fatalf("seed %d: %s is where %s was acked", seed, p, want)
					}
				}
			}
			return n
		}
		now := there()
		for at, p := range acked {
			if now[p] != 1 {
				t.Fatalf("seed %d: acked %s at %v is there %d times", seed, p, at, now[p])
			}
		}
		for c := range callers {
			for i := range each {
				try(l, c, i)
			}
		}
		now = there()
		if len(now) != callers*each*2 {
			t.Fatalf("seed %d: %d events, want %d", seed, len(now), callers*each*2)
		}
		for p, n := range now {
			if n != 1 {
				t.Fatalf("seed %d: %s is there %d times", seed, p, n)
			}
		}
		checkDedup(t, l)
	}
}

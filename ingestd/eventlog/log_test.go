package eventlog

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"firn/ingestd/kv"
)

func TestAppendAndRead(t *testing.T) {
	m := kv.NewMem()
	l := mustOpen(t, m, testConfig())
	a := mustPut(t, l, "orders", "a", "b", "c")
	b := mustPut(t, l, "orders", "d")
	c := mustPut(t, l, "clicks", "x")
	if a.First != 1 || a.Last != 3 || b.First != 4 || b.Last != 4 || c.First != 1 || a.Track != b.Track || c.Track == a.Track || a.Log != c.Log || a.Accepted != 3 {
		t.Fatalf("got %+v, %+v, %+v", a, b, c)
	}
	check := func(l *Log) {
		t.Helper()
		if got := payloads(t, l, a.Track); !slices.Equal(got, []string{"a", "b", "c", "d"}) {
			t.Errorf("read %q", got)
		}
		if got := payloadsOf(t, l, a.Track, 2, 3); !slices.Equal(got, []string{"b", "c"}) {
			t.Errorf("read %q out of the middle", got)
		}
		wantErr(t, l.Read(context.Background(), 99, 1, 1, nil), ErrUnknownTrack)
		if err := l.Read(context.Background(), a.Track, 1, 5, func(Rows) error { return nil }); err == nil {
			t.Error("read beyond the high watermark")
		}
	}
	check(l)
	_ = l.Close()
	if _, err := l.put(t, "orders", "late"); !errors.Is(err, ErrClosed) {
		t.Errorf("append after close: %v", err)
	}
	l = mustOpen(t, m, testConfig())
	check(l) // from the store: the tail is empty
	d := mustPut(t, l, "orders", "e")
	if d.First != 1 || compareIDs(d.Log, a.Log) <= 0 {
		t.Errorf("the second run appended %+v after log %v", d, a.Log)
	}
	for _, i := range l.Tracks() {
		if i.Older != (i.Log == a.Log) {
			t.Errorf("track %+v", i)
		}
	}
}

func TestLogIDsRise(t *testing.T) {
	m := kv.NewMem()
	last := uuid.Nil
	for i, clock := range []int64{5000, 5000, 10, 0, 6000, 5999, -7} {
		c := testConfig()
		c.Clock = func() time.Time { return time.UnixMilli(clock) }
		l := mustOpen(t, m, c)
		a := mustPut(t, l, "t", "x")
		if compareIDs(a.Log, last) <= 0 || a.Log.Version() != 7 || a.Log.Variant() != uuid.RFC4122 {
			t.Errorf("run %d at %d ms: log %v after %v", i, clock, a.Log, last)
		}
		last = a.Log
		if err := l.SetCommitted(a.Track, 1); err != nil {
			t.Fatal(err)
		}
		_ = l.Close()
		l = mustOpen(t, m, c)
		if err := l.Trim(present, nil); err != nil { // forgets the track, not that the log was there
			t.Fatal(err)
		}
		if n := len(l.Tracks()); n != 0 {
			t.Errorf("run %d: %d tracks after all was committed and trimmed", i, n)
		}
		_ = l.Close()
	}
}

// slowStore holds writes back until it is let go, so that appends gather.
type slowStore struct {
	*kv.Mem
	gate chan struct{}
}

func (s *slowStore) Write(b *kv.Batch, sync bool) error {
	<-s.gate
	return s.Mem.Write(b, sync)
}

// settle waits until no more appends come to the writer's queue.
func settle(l *Log) {
	for n, same := -1, 0; same < 20; time.Sleep(time.Millisecond) {
		if now := len(l.appends); now != n {
			n, same = now, 0
		}
		same++
	}
}

func TestGroupCommit(t *testing.T) {
	s := &slowStore{kv.NewMem(), make(chan struct{}, 1000)}
	s.gate <- struct{}{} // the format's record
	l := mustOpen(t, s, testConfig())
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			if _, err := l.put(t, fmt.Sprint("t", i%5), "x", "y"); err != nil {
				t.Error(err)
			}
		})
	}
	settle(l)
	if got := l.Stats().Appends; got != 0 {
		t.Errorf("%d appends were acked before a write", got)
	}
	close(s.gate)
	wg.Wait()
	st := l.Stats()
	if st.Groups > 3 || st.Appends != 50 || st.AppendedEvents != 100 {
		t.Errorf("%d groups, %d appends, %d events", st.Groups, st.Appends, st.AppendedEvents)
	}
	for _, i := range l.Tracks() {
		if i.High != 20 {
			t.Errorf("track %+v", i)
		}
	}
}

func TestGroupIsBounded(t *testing.T) {
	c := testConfig()
	c.MaxGroupBytes = 1000
	s := &slowStore{kv.NewMem(), make(chan struct{}, 1000)}
	s.gate <- struct{}{}
	l := mustOpen(t, s, c)
	var wg sync.WaitGroup
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		noise := make([]byte, 400)
		for i := range noise {
			noise[i] = byte('a' + rng.IntN(26))
		}
		wg.Go(func() { mustPut(t, l, "t", string(noise)) })
	}
	settle(l)
	close(s.gate)
	wg.Wait()
	if st := l.Stats(); st.Groups < 10 || st.GroupBytes/st.Groups > 2000 {
		t.Errorf("%d groups of %d bytes", st.Groups, st.GroupBytes)
	}
	if l.tail.bytes > c.TailBytes {
		t.Errorf("the tail holds %d bytes", l.tail.bytes)
	}
}

// Keys take a group's room as blocks do: a thousand small ones compress to little, and
// are records of their own in the batch.
func TestGroupOfKeysIsBounded(t *testing.T) {
	c := testConfig()
	c.MaxGroupBytes = 32 << 10
	s := &slowStore{kv.NewMem(), make(chan struct{}, 1000)}
	s.gate <- struct{}{}
	l := mustOpen(t, s, c)
	var wg sync.WaitGroup
	for i := range 20 {
		events := make([]string, 100)
		for k := range events {
			events[k] = fmt.Sprintf("key-%d|", 100*i+k)
		}
		wg.Go(func() { mustPut(t, l, "t", events...) })
	}
	settle(l)
	close(s.gate)
	wg.Wait()
	if st := l.Stats(); st.GroupBytes/st.Groups > uint64(c.MaxGroupBytes) {
		t.Errorf("%d groups of %d bytes, the bound is %d", st.Groups, st.GroupBytes/st.Groups, c.MaxGroupBytes)
	}
}

func TestFailedWriteIsFatal(t *testing.T) {
	for _, fault := range []kv.Fault{kv.Lost, kv.Unsure} {
		m := kv.NewMem()
		m.Fault = func(n int) kv.Fault {
			if n == 3 {
				return fault
			}
			return kv.None
		}
		l := mustOpen(t, m, testConfig())
		a := mustPut(t, l, "t", "a")
		_, err := l.put(t, "t", "b")
		wantErr(t, err, ErrBroken)
		_, err = l.put(t, "t", "c")
		wantErr(t, err, ErrBroken)
		wantErr(t, l.SetCommitted(a.Track, 1), ErrBroken)
		wantErr(t, l.Refused(), ErrBroken)
		select {
		case err := <-l.Fatal():
			wantErr(t, err, ErrBroken)
		default:
			t.Error("Fatal says nothing")
		}
		if got := payloads(t, l, a.Track); !slices.Equal(got, []string{"a"}) {
			t.Errorf("read %q after the fault", got)
		}
	}
}

func TestFullDiskIsNotFatal(t *testing.T) {
	m := kv.NewMem()
	full := false
	m.Fault = func(int) kv.Fault {
		if full {
			return kv.Full
		}
		return kv.None
	}
	l := mustOpen(t, m, testConfig())
	full = true
	_, err := l.put(t, "t", "k|a")
	wantErr(t, err, ErrDiskFull)
	full = false
	a := mustPut(t, l, "t", "k|a", "b")
	full = true
	_, err = l.put(t, "t", "k2|c")
	wantErr(t, err, ErrDiskFull)
	_, err = l.put(t, "new", "n")
	wantErr(t, err, ErrDiskFull)
	if err := l.SetCommitted(a.Track, 1); !errors.Is(err, kv.ErrNoSpace) {
		t.Errorf("watermark on a full disk: %v", err)
	}
	if err := l.PutMeta("table", []byte("x")); !errors.Is(err, ErrDiskFull) {
		t.Errorf("record of a new table on a full disk: %v", err)
	}
	full = false
	b := mustPut(t, l, "t", "k2|c", "d")
	if a.First != 1 || b.First != 3 || b.Accepted != 2 || b.Log != a.Log {
		t.Errorf("got %+v, then %+v", a, b)
	}
	if i, _ := l.Track(a.Track); i.Committed != 0 || i.High != 4 {
		t.Errorf("track %+v", i)
	}
	_ = l.Close()
	before := l
	l = mustOpen(t, m.Crash(rand.New(rand.NewPCG(1, 1))), testConfig())
	if l.space.head != before.space.head || l.space.live != before.space.live || l.dedup != before.dedup {
		t.Errorf("the count of space is off: head %d, live %d; after a restart %d, %d", before.space.head, before.space.live, l.space.head, l.space.live)
	}
	if got := payloads(t, l, a.Track); !slices.Equal(got, []string{"a", "b", "c", "d"}) {
		t.Errorf("read %q", got)
	}
}

func TestCancelledAppendIsUnknown(t *testing.T) {
	s := &slowStore{kv.NewMem(), make(chan struct{}, 10)}
	s.gate <- struct{}{}
	l := mustOpen(t, s, testConfig())
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	b := batch(t, "k|a")
	if _, err := l.Append(ctx, Append{Table: table("t"), Batch: b, ReceivedAt: present}); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
	b.Reset() // the caller may use it again: the writer must not look at it
	close(s.gate)
	r := mustPut(t, l, "t", "k|a")
	if r.Accepted != 0 || r.Duplicates != 1 || r.First != 1 {
		t.Errorf("the retry got %+v", r)
	}
}

func TestRefusesEmptyAndHuge(t *testing.T) {
	l := mustOpen(t, kv.NewMem(), testConfig())
	_, err := l.put(t, "t")
	wantErr(t, err, ErrTooLarge)
}

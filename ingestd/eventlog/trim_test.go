package eventlog

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"firn/ingestd/kv"
)

// noise does not compress.
func noise(rng *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('!' + rng.IntN(90))
	}
	return string(b)
}

func blockBytes(t testing.TB, s kv.Store) (n int64) {
	t.Helper()
	if err := s.Iterate(kv.Blocks, nil, nil, false, func(_, v []byte) error { n += int64(len(v)); return nil }); err != nil {
		t.Fatal(err)
	}
	return n
}

func commitAll(t testing.TB, l *Log, id Track) {
	t.Helper()
	i, _ := l.Track(id)
	if err := l.SetCommitted(id, i.High); err != nil {
		t.Fatal(err)
	}
}

func TestTrimFreesDisk(t *testing.T) {
	m := kv.NewMem()
	l := mustOpen(t, m, testConfig())
	rng := rand.New(rand.NewPCG(1, 1))
	var id Track
	for range 100 {
		id = mustPut(t, l, "t", noise(rng, 1000)).Track
	}
	full := l.Stats()
	if full.LiveBytes != blockBytes(t, m) || full.PinnedBytes < full.LiveBytes || full.PinnedBytes > full.LiveBytes+2*l.space.zoneBytes {
		t.Fatalf("live %d, pinned %d, in the store %d", full.LiveBytes, full.PinnedBytes, blockBytes(t, m))
	}
	if err := l.Trim(present, nil); err != nil { // nothing is committed
		t.Fatal(err)
	}
	if got := l.Stats(); got.LiveBytes != full.LiveBytes {
		t.Fatalf("trimmed what is not committed: %d of %d bytes left", got.LiveBytes, full.LiveBytes)
	}
	commitAll(t, l, id)
	if err := l.Trim(present, nil); err != nil {
		t.Fatal(err)
	}
	if got := l.Stats(); got.LiveBytes != 0 || got.PinnedBytes != 0 || got.TrimmedBlocks != 100 {
		t.Errorf("left: %+v", got)
	}
	if left := blockBytes(t, m); left > full.LiveBytes/2 { // the twin leaves every fourth key
		t.Errorf("%d of %d bytes are left in the store", left, full.LiveBytes)
	}
	again := mustOpen(t, m.Copy(), testConfig())
	if err := m.Iterate(kv.Blocks, nil, nil, true, func(k, _ []byte) error {
		if pos, _ := keyPosition(k); again.space.head <= pos {
			t.Errorf("the next position is %d, a dead block lies at %d", again.space.head, pos)
		}
		return kv.ErrStop
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Span(id, 1, 1); err == nil {
		t.Error("measured what was trimmed")
	}
	wantErr(t, l.Read(t.Context(), id, 1, 2, nil), ErrTrimmed)
}

func TestBacklogIsRefusedAtItsBounds(t *testing.T) {
	c := testConfig()
	c.MaxTableBytes = c.MaxBytes * 2 / 5
	l := mustOpen(t, kv.NewMem(), c)
	rng := rand.New(rand.NewPCG(2, 2))
	last := map[string]Appended{}
	fill := func(name string) (err error) {
		for range 10000 {
			var a Appended
			if a, err = l.put(t, name, noise(rng, 2000)); err != nil {
				return err
			}
			last[name] = a
		}
		return nil
	}
	wantErr(t, fill("stuck"), ErrTableFull)
	if i, _ := l.Track(last["stuck"].Track); i.Bytes > c.MaxTableBytes || i.Bytes < c.MaxTableBytes*9/10 {
		t.Errorf("the stuck table holds %d bytes of %d", i.Bytes, c.MaxTableBytes)
	}
	mustPut(t, l, "other", "one table's share leaves room for the others")
	if err := l.Refused(); err != nil {
		t.Errorf("refuses everything: %v", err)
	}
	wantErr(t, fill("second"), ErrTableFull)
	err := fill("third")
	wantErr(t, err, ErrFull)
	var refusal *Refusal
	if r, ok := err.(*Refusal); !ok || r.RetryAfter <= 0 {
		t.Errorf("no hint when to come back: %#v, %v", err, refusal)
	}
	wantErr(t, l.Refused(), ErrFull)
	if s := l.Stats(); s.PinnedBytes > c.MaxBytes || s.Refused["full"] == 0 || s.Refused["table_full"] == 0 {
		t.Errorf("stats %+v", s)
	}
	commitAll(t, l, last["second"].Track)
	if err := l.Trim(present, nil); err != nil {
		t.Fatal(err)
	}
	mustPut(t, l, "third", "there is room again")
}

// A stuck table must not pin what others are done with: its blocks move, everything
// stays readable, the others never wait.
func TestStuckTableDoesNotPinTheLog(t *testing.T) {
	c := testConfig()
	m := kv.NewMem()
	l := mustOpen(t, m, c)
	rng := rand.New(rand.NewPCG(4, 4))
	var stuck []string
	var stuckID Track
	for round := range 400 {
		if round < 100 {
			stuck = append(stuck, noise(rng, 300))
			stuckID = mustPut(t, l, "stuck", stuck[len(stuck)-1]).Track
		}
		var id Track
		for range 10 {
			id = mustPut(t, l, "busy", noise(rng, 2000)).Track
		}
		if round%5 == 4 {
			commitAll(t, l, id)
			if err := l.Trim(present, nil); err != nil {
				t.Fatal(err)
			}
			s := l.Stats()
			if s.PinnedBytes-s.LiveBytes > c.MaxBytes/garbageDen {
				t.Fatalf("round %d: %d of %d pinned bytes are dead", round, s.PinnedBytes-s.LiveBytes, s.PinnedBytes)
			}
		}
	}
	s := l.Stats()
	if s.RelocatedBytes == 0 || s.RelocatedBytes > s.AppendedBytes/2 {
		t.Errorf("%d bytes were moved, %d appended", s.RelocatedBytes, s.AppendedBytes)
	}
	check := func(l *Log) {
		t.Helper()
		if got := payloads(t, l, stuckID); !slices.Equal(got, stuck) {
			t.Error("the stuck table's events have changed")
		}
		i, _ := l.Track(stuckID)
		newOracle(t, "").checkBytes(l, i)
	}
	check(l)
	live := s.LiveBytes
	_ = l.Close()
	l = mustOpen(t, m, c)
	check(l)
	if got := l.Stats(); got.LiveBytes != live || got.PinnedBytes > c.MaxBytes {
		t.Errorf("after a restart %d live, %d pinned; before %d", got.LiveBytes, got.PinnedBytes, live)
	}
}

// Reading and moving at once: a reader never fails because a block moved under it.
func TestReadWhileBlocksMove(t *testing.T) {
	c := testConfig()
	c.TailBytes, c.MaxBytes = 0, 1<<19
	l := mustOpen(t, kv.NewMem(), c)
	rng := rand.New(rand.NewPCG(5, 5))
	var want []string
	var id Track
	for range 60 {
		want = append(want, noise(rng, 100))
		id = mustPut(t, l, "slow", want[len(want)-1]).Track
		mustPut(t, l, "busy", noise(rng, 3000))
	}
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
			}
			var got []string
			if err := l.Read(t.Context(), id, 1, 60, func(r Rows) error {
				for i := range r.Batch.Len {
					got = append(got, strings.Clone(string(r.Batch.Cols[3].Bytes(i))))
				}
				return nil
			}); err != nil {
				t.Error(err)
				return
			}
			if !slices.Equal(got, want) {
				t.Error("read something else")
				return
			}
		}
	}()
	for range 60 {
		var busy Track
		for range 20 {
			busy = mustPut(t, l, "busy", noise(rng, 2000)).Track
		}
		commitAll(t, l, busy)
		if err := l.Trim(present, nil); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	<-done
	if l.Stats().RelocatedBytes == 0 {
		t.Error("nothing was moved")
	}
}

func TestHotRetentionYieldsToProducers(t *testing.T) {
	c := testConfig()
	c.MaxTableBytes = c.MaxBytes
	l := mustOpen(t, kv.NewMem(), c)
	rng := rand.New(rand.NewPCG(6, 6))
	hot := func(Table) time.Duration { return time.Hour }
	var id Track
	for i := range 2000 { // far more than the bound
		a, err := l.put(t, "t", noise(rng, 2000))
		if err != nil {
			t.Fatalf("append %d: %v", i, err)
		}
		id = a.Track
		if i%20 == 19 {
			commitAll(t, l, id)
			if err := l.Trim(present, hot); err != nil {
				t.Fatal(err)
			}
		}
	}
	if i, _ := l.Track(id); i.Low == i.High+1 {
		t.Error("nothing is hot")
	}
}

func TestDiskReserve(t *testing.T) {
	free := int64(1000)
	c := testConfig()
	c.FreeSpace = func() (int64, error) { return free, nil }
	c.ReserveBytes, c.BallastBytes, c.BallastPath = 100, 50, t.TempDir()+"/ballast"
	l := mustOpen(t, kv.NewMem(), c)
	look := func(bytes int64) {
		free = bytes
		l.disk.mu.Lock()
		l.disk.checked = time.Time{}
		l.disk.mu.Unlock()
	}
	size := func() int64 { return fileSize(c.BallastPath) }
	id := mustPut(t, l, "t", "a", "b").Track
	if size() != 50 {
		t.Errorf("ballast of %d bytes", size())
	}
	look(99)
	_, err := l.put(t, "t", "c")
	wantErr(t, err, ErrDiskFull)
	wantErr(t, l.Refused(), ErrDiskFull)
	if size() != -1 {
		t.Errorf("the ballast was not given up: %d bytes", size())
	}
	// What drains the log goes on.
	if err := l.Cut(id, Cut{First: 1, Last: 2}); err != nil {
		t.Error(err)
	}
	commitAll(t, l, id)
	if err := l.Trim(present, nil); err != nil {
		t.Error(err)
	}
	look(149) // what the ballast gave back does not count
	_, err = l.put(t, "t", "c")
	wantErr(t, err, ErrDiskFull)
	look(150)
	mustPut(t, l, "t", "c")
	if size() != 50 {
		t.Errorf("the ballast was not taken again: %d bytes", size())
	}
	_ = l.Close()
	l = mustOpen(t, kv.NewMem(), c)
	look(100) // the ballast of the last run is there
	mustPut(t, l, "t", "x")
	if err := c.GiveUpBallast(); err != nil || size() != -1 {
		t.Errorf("give up: %v, %d bytes", err, size())
	}
	if err := c.GiveUpBallast(); err != nil {
		t.Error(err)
	}
}

func TestPhases(t *testing.T) {
	var seen []string
	c := testConfig()
	c.Phase = func(name string, enter bool) { seen = append(seen, fmt.Sprint(name, enter)) }
	l := mustOpen(t, kv.NewMem(), c)
	id := mustPut(t, l, "t", "x").Track
	commitAll(t, l, id)
	if err := l.Trim(present, nil); err != nil {
		t.Fatal(err)
	}
	if want := []string{"appendtrue", "appendfalse", "trimtrue", "trimfalse"}; !slices.Equal(seen, want) {
		t.Errorf("saw %v", seen)
	}
}

// What the log holds in memory does not grow with what it holds on the disk.
func TestMemoryDoesNotGrowWithTheBacklog(t *testing.T) {
	c := testConfig()
	c.MaxBytes, c.MaxTableBytes, c.zoneBytes = 1<<30, 1<<29, 0
	l := mustOpen(t, &sink{Mem: kv.NewMem()}, c)
	rng := rand.New(rand.NewPCG(7, 7))
	fill := func() {
		for range 5000 {
			mustPut(t, l, "t", noise(rng, 500))
		}
	}
	heap := func() uint64 {
		var s runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&s)
		return s.HeapAlloc
	}
	fill()
	before := heap()
	fill()
	fill()
	if after := heap(); after > before+1<<19 {
		t.Errorf("%d bytes more for 5 MB more backlog", after-before)
	}
	if s := l.Stats(); s.TailBytes > c.TailBytes || s.LiveBytes < 5<<20 {
		t.Errorf("stats %+v", s)
	}
}

package eventlog

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"firn/ingestd/kv"
	"firn/ingestd/kv/rocks"
)

func rocksConfig() rocks.Config {
	return rocks.Config{WriteBufferBytes: 3 << 20, CacheBytes: 2 << 20, WALBytes: 4 << 20, MaxOpenFiles: 64}
}

func openRocks(t testing.TB, dir string) *rocks.Store {
	t.Helper()
	s, err := rocks.Open(dir, rocksConfig())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// Many callers on the real store, with a process that vanishes: the directory is copied
// while it is open, as a kill leaves it.
func TestRestartsOnRocksDB(t *testing.T) {
	dir := t.TempDir()
	acked := map[Track][]string{}
	for run := range 3 {
		s := openRocks(t, dir)
		l := mustOpen(t, s, testConfig())
		for id, want := range acked {
			if got := payloads(t, l, id); !slices.Equal(got, want) {
				t.Fatalf("run %d: track %d holds %d events, acked were %d", run, id, len(got), len(want))
			}
		}
		var mu sync.Mutex
		got := map[Track]map[Seq]string{}
		var wg sync.WaitGroup
		for c := range 8 {
			wg.Go(func() {
				for i := range 20 {
					events := numbered(fmt.Sprintf("%d.%d.%d", run, c, i), 1+i%4)
					a, err := l.put(t, fmt.Sprint("t", c%3), events...)
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					if got[a.Track] == nil {
						got[a.Track] = map[Seq]string{}
					}
					for j, e := range events {
						got[a.Track][a.First+Seq(j)] = e
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		for id, events := range got {
			for seq := Seq(1); int(seq) <= len(events); seq++ {
				e, ok := events[seq]
				if !ok {
					t.Fatalf("track %d: sequence %d was given to nobody", id, seq)
				}
				acked[id] = append(acked[id], e)
			}
		}
		killed := t.TempDir()
		if err := os.CopyFS(killed, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		dir = killed
	}
}

// Trimming on the real store gives the disk back, also while one table is stuck.
func TestTrimFreesFilesOfRocksDB(t *testing.T) {
	s := openRocks(t, t.TempDir())
	c := testConfig()
	c.MaxBytes, c.MaxTableBytes, c.zoneBytes = 8<<20, 4<<20, 1<<18
	l := mustOpen(t, s, c)
	rng := rand.New(rand.NewPCG(1, 1))
	var stuck []string
	var stuckID Track
	for i := range 60 {
		if i%10 == 0 {
			stuck = append(stuck, noise(rng, 1000))
			stuckID = mustPut(t, l, "stuck", stuck[len(stuck)-1]).Track
		}
		var id Track
		for range 8 {
			id = mustPut(t, l, "busy", noise(rng, 64<<10)).Track
		}
		commitAll(t, l, id)
		if err := l.Trim(present, nil); err != nil {
			t.Fatal(err)
		}
	}
	st := l.Stats()
	if most := c.MaxBytes + 3*rocksConfig().WriteBufferBytes; st.Store.FileBytes[kv.Blocks] > most {
		t.Errorf("%d bytes in files of blocks after %d appended; want at most %d", st.Store.FileBytes[kv.Blocks], st.AppendedBytes, most)
	}
	if st.Store.CompactedBytes[kv.Blocks] > int64(st.AppendedBytes)/20 {
		t.Errorf("compaction rewrote %d bytes of blocks", st.Store.CompactedBytes[kv.Blocks])
	}
	if got := payloads(t, l, stuckID); !slices.Equal(got, stuck) {
		t.Error("the stuck table's events have changed")
	}
}

// One flipped byte of the write-ahead log: the start is refused, the loss named, and a salvage keeps what precedes it.
func TestDamagedLogNamesItsLoss(t *testing.T) {
	from := t.TempDir()
	l := mustOpen(t, openRocks(t, from), testConfig())
	var a Appended
	for i := range 300 {
		a = mustPut(t, l, "t", fmt.Sprintf("event number %d", i))
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	logs, _ := filepath.Glob(filepath.Join(dir, "*.log"))
	data, err := os.ReadFile(logs[0])
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/3] ^= 1
	if err := os.WriteFile(logs[0], data, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := rocks.Open(dir, rocksConfig()); !errors.As(err, new(*rocks.CorruptError)) {
		t.Fatalf("open: %v", err)
	}
	var lost []Lost
	err = rocks.Inspect(dir, rocksConfig(), func(survives, readable kv.Store) (err error) {
		lost, err = Loss(survives, readable)
		return err
	})
	if err != nil || len(lost) != 1 || lost[0].Last != 300 || lost[0].First < 50 || lost[0].First > 200 {
		t.Fatalf("loss: %v, %v", lost, err)
	}
	s, err := rocks.Salvage(dir, rocksConfig(), present)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	l = mustOpen(t, s, testConfig())
	if got := payloads(t, l, a.Track); len(got) != int(lost[0].First)-1 {
		t.Errorf("%d events survived, lost is %v", len(got), lost)
	}
}

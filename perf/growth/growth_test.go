// Package growth measures what a commit and a cold load cost as a table grows older.
//
// TestGrowth does so without any housekeeping, from 10 to 10,000 snapshots, and to a million data files: what the format
// itself makes grow is the table metadata that every commit writes whole, and the manifest list; nothing else may.
// TestAging does so as commits are, which expire snapshots and merge manifests as they go: after 10,000 of them nothing
// may cost more than after 100.
//
//	FIRN_TIER=ci go test -run 'TestGrowth|TestAging' -v ./perf/growth      (slow: more sizes and stores)
package growth

import (
	"fmt"
	"os"
	"testing"
	"text/tabwriter"
	"time"

	"firn/perf/tier"
)

// filesOfACommit is how many data files each measured commit adds.
const filesOfACommit = 10

// size is a table's age: its snapshots, with a manifest each, of so many data files.
type size struct{ snapshots, filesOfEach int }

var sizes = map[tier.Tier][]size{
	tier.CI:   {{10, 10}, {100, 10}, {1000, 10}, {10_000, 1}},
	tier.Slow: {{10, 10}, {100, 10}, {1000, 10}, {10_000, 10}, {10_000, 100}},
}

// few are the sizes on stores whose writes take long.
var few = map[tier.Tier][]size{
	tier.CI:   {{10, 10}, {500, 1}},
	tier.Slow: {{10, 10}, {100, 10}, {1000, 10}, {10_000, 1}},
}

func TestGrowth(t *testing.T) {
	tier.Need(t, tier.CI)
	now := min(tier.Now(), tier.Slow)
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	defer out.Flush()
	fmt.Fprintln(out, "where\tsnapshots\tdata files\tmetadata kB\tlist kB\twarm commit\tkB out\tCPU ms\tms\tallocated kB\tcold commit\tkB in\tCPU ms\tms\t")
	for _, s := range []struct {
		name  string
		open  func(t *testing.T) *place
		sizes []size
		own   bool // the process's CPU is the committer's alone, without a store's syscalls, signatures and checksums
	}{
		{"memory", openMemory, sizes[now], true},
		{"directory", openDirectory, few[now], false},
		{"S3", openS3, few[now], false},
		{"S3, REST", openREST, few[now], false},
	} {
		t.Run(s.name, func(t *testing.T) {
			var least *grown // the smallest table
			for _, n := range s.sizes {
				g := measure(t, s.open(t), n)
				g.print(out, s.name)
				if least == nil {
					least = g
				}
				g.checkRequests(t, least)
				if s.own {
					g.checkCPU(t, least)
				}
			}
		})
	}
}

// grown is what commits to a table of one age took.
type grown struct {
	size
	*place
	metadataBytes, listBytes int
	warm, cold               used
}

// measure makes the table and commits to it. Of several warm commits the one that took the least CPU counts: the machine
// does other things as well.
func measure(t *testing.T, p *place, n size) *grown {
	t.Helper()
	const commits = 9
	s := p.store
	a := newAged(t, p, n.snapshots, n.filesOfEach)
	g := &grown{size: n, place: p, metadataBytes: a.metadataBytes, listBytes: a.listBytes}
	for i := range 3 {
		c := a.committer()
		if took := s.measure(t, func() { a.commit(t, c, filesOfACommit) }); i == 0 || took.cpu < g.cold.cpu {
			g.cold = took
		}
		if i > 0 {
			continue
		}
		for k := range commits {
			if took := s.measure(t, func() { a.commit(t, c, filesOfACommit) }); k == 0 || took.cpu < g.warm.cpu {
				g.warm = took
			}
		}
	}
	a.verify(t, n)
	return g
}

func (g *grown) print(out *tabwriter.Writer, where string) {
	ms := func(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d.Microseconds())/1000) }
	fmt.Fprintf(out, "%s\t%d\t%d\t%d\t%d\t%s\t%d\t%s\t%s\t%d\t%s\t%d\t%s\t%s\t\n", where, g.snapshots, g.snapshots*g.filesOfEach,
		g.metadataBytes/1000, g.listBytes/1000, g.warm.requests(), g.warm.out/1000, ms(g.warm.cpu), ms(g.warm.wall), g.warm.allocated/1000,
		g.cold.requests(), g.cold.in/1000, ms(g.cold.cpu), ms(g.cold.wall))
}

// What a byte of metadata may cost in CPU, with room for a busy machine. A warm commit copies it a few times (measured:
// 0.5 ns); a cold one parses it (10 ns). Encoding old snapshots anew, or compressing old list entries, costs more.
const (
	warmNanosecondsPerByte = 3
	coldNanosecondsPerByte = 30
)

// checkRequests: the requests are the same at any age, and their bytes those of the metadata and the list.
func (g *grown) checkRequests(t *testing.T, least *grown) {
	t.Helper()
	if got, want := g.warm.requests(), g.warmRequests; got != want {
		t.Errorf("%d snapshots: a warm commit took %s, want %s", g.snapshots, got, want)
	}
	if got, want := g.cold.requests(), g.coldRequests; got != want {
		t.Errorf("%d snapshots: a cold commit took %s, want %s", g.snapshots, got, want)
	}
	const slack = 64 << 10 // bytes: the commits made meanwhile, and the list's open block
	grew := g.listBytes - least.listBytes
	if g.writesMetadata {
		grew += g.metadataBytes - least.metadataBytes
	}
	if more := g.warm.out - least.warm.out; more > grew+slack {
		t.Errorf("%d snapshots: a warm commit writes %d bytes more than with %d; its metadata and list are %d longer",
			g.snapshots, more, least.snapshots, grew)
	}
}

// grew is how many bytes g's metadata and list are longer.
func (g *grown) grew(least *grown) int {
	return g.metadataBytes + g.listBytes - least.metadataBytes - least.listBytes
}

// checkCPU compares the CPU and memory that g took with what its metadata explains.
func (g *grown) checkCPU(t *testing.T, least *grown) {
	t.Helper()
	const busy = 5 * time.Millisecond // what a busy machine adds to a millisecond now and then
	limit := func(what string, took, before time.Duration, perByte int) {
		t.Helper()
		if most := 2*before + busy + time.Duration(g.grew(least)*perByte); took > most {
			t.Errorf("%d snapshots: %s took %v of CPU, want at most %v (%v with %d snapshots)", g.snapshots, what, took, most, before, least.snapshots)
		}
	}
	limit("a warm commit", g.warm.cpu, least.warm.cpu, warmNanosecondsPerByte)
	limit("a cold commit", g.cold.cpu, least.cold.cpu, coldNanosecondsPerByte)
	// Encoded once, and copied by the store; a compressor now and then.
	if most := 3*uint64(g.grew(least)) + 4*least.warm.allocated + 2<<20; g.warm.allocated > most {
		t.Errorf("%d snapshots: a warm commit allocates %d bytes, want at most %d", g.snapshots, g.warm.allocated, most)
	}
}

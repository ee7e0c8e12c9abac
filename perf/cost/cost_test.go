// Package cost counts, at the servers, what commits ask of S3, Glue and a REST catalog, so that nobody adds a request
// unseen: every number is exact.
//
//	FIRN_TIER=ci go test -run TestCost -v ./perf/cost
package cost

import (
	"fmt"
	"os"
	"testing"
	"text/tabwriter"

	"firn/commitlib"
	"firn/commitlib/warehouse"
	"firn/perf/tier"
)

func TestCost(t *testing.T) {
	tier.Need(t, tier.CI)
	const commits = 20
	const merges = commits / 10 // the ten that each merges are not there before the tenth commit
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "catalog\twhat\trequests\tbytes out\tbytes in")
	defer out.Flush()
	for _, c := range catalogs {
		t.Run(c.name, func(t *testing.T) {
			s, b := c.open(t), budgetOf(t, c.name)
			row := func(what string, n int, got spent) {
				fmt.Fprintf(out, "%s\t%s\t%s\t%d\t%d\n", c.name, what, list(got.requests), got.out/int64(n), got.in/int64(n))
			}
			first := s.instance()
			track := s.table(first, 0)
			s.commit(first, track)

			cold := s.instance()
			row("the first commit of an instance", 1, s.want("the first commit of an instance", b["cold"], func() { s.commit(cold, track) }))
			warm := times(commits, b["warm"])
			add(warm, times(merges, b["merge"]))
			got := s.want(fmt.Sprintf("%d warm commits", commits), warm, func() {
				for range commits {
					s.commit(cold, track)
				}
			})
			got.requests = b["warm"]
			row("a warm commit", commits, got)
			row("a merge, beyond that (its bytes are counted there)", 1, spent{requests: b["merge"]})
			s.wantExpiry(b)

			again := track.Request(filesOfACommit)
			s.submit(cold, again, commitlib.Applied)
			row("a duplicate", 1, s.want("a duplicate", nil, func() { s.submit(cold, again, commitlib.Skipped) }))

			table, err := cold.Catalog.Load(t.Context(), track.Table.Ident)
			if err != nil {
				t.Fatal(err)
			}
			idle := s.want("a refresh without news", b["idle"], func() {
				if got, err := cold.Catalog.Refresh(t.Context(), table); err != nil || got != table {
					t.Fatal(got, err)
				}
			})
			row("looking whether anything changed", 1, idle)
			if c.name != warehouse.Glue && idle.in > 0 { // which has no way to ask for less than the entry
				t.Errorf("a refresh without news was answered with %d bytes", idle.in)
			}
			row("reading a watermark from a loaded table", 1, s.want("reading a watermark", nil, func() {
				if last, err := commitlib.ReadWatermark(t.Context(), cold.Store, table, track.Log); err != nil || last != again.Last {
					t.Fatal(last, err)
				}
			}))
		})
	}
}

// wantExpiry wants what commits cost that remove a snapshot each.
func (s *services) wantExpiry(b budget) {
	s.Helper()
	const keep, commits = 4, 5
	i := s.instanceOf(commitlib.Config{KeepSnapshots: keep, MergeManifests: never})
	track := s.table(i, 1)
	for range 2 * keep { // the oldest stays, as the first of its time
		s.commit(i, track)
	}
	before := i.Counters().Expired
	want := times(commits, b["warm"])
	add(want, times(commits, b["expire"]))
	s.want("commits that remove snapshots", want, func() {
		for range commits {
			s.commit(i, track)
		}
	})
	if n := i.Counters().Expired - before; n != commits {
		s.Errorf("%d commits removed %d snapshots", commits, n)
	}
}

package cost

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"firn/commitlib"
	"firn/perf/tier"
	"firn/perf/track"
)

// warmInstances is how many instances of the function take turns.
const warmInstances = 4

// waryCommits is how many commits ask whether the table changed, after one found that it had. Package commitlib has the
// number as its own.
const waryCommits = 8

// nodes is how many ingestd feed each table, each with a log of its own.
const nodes = 3

// contended is a table that several instances commit to, with what each of them is expected to know of it.
type contended struct {
	logs      [nodes]*track.Track
	instances []*instance
	budget    budget
	commits   int
	moved     [nodes]int         // commits, when the log's watermark last moved
	seen      [warmInstances]int // commits, when the instance last committed
	wary      [warmInstances]int
	expected  map[string]int // requests of all commits
}

// commit applies a log's next request by instance i, and notes what that should cost.
func (c *contended) commit(ctx context.Context, i, log int) error {
	c.expect(i, log)
	if err := c.instances[i].submit(ctx, c.logs[log].Request(filesOfACommit), commitlib.Applied); err != nil {
		return err
	}
	c.commits++
	c.seen[i], c.moved[log] = c.commits, c.commits
	return nil
}

func (c *contended) expect(i, log int) {
	add(c.expected, c.budget["warm"])
	missed := c.commits - c.seen[i]
	if c.wary[i] > 0 && missed == 0 {
		c.wary[i]--
		add(c.expected, c.budget["idle"])
		return
	}
	if missed == 0 {
		return
	}
	if c.wary[i] == 0 && c.moved[log] <= c.seen[i] {
		// On the state that it knows the request is next. Otherwise it looks like a gap, and is looked up first.
		add(c.expected, c.budget["vain"])
	}
	c.wary[i] = waryCommits
	if missed == 1 {
		add(c.expected, c.budget["behind"])
	} else {
		add(c.expected, c.budget["far"])
	}
}

func add(to, from map[string]int) {
	for operation, n := range from {
		to[operation] += n
	}
}

// TestCostOfManyTables: fifty tables and four warm instances of the function. Where a table's messages go to the
// instance that had its last ones, every commit is a warm one. Where they go to any instance, as a queue's do, a commit
// costs its warm one's requests and what it takes to read the others' commits; nothing in vain, but for the first time
// that an instance meets another. Three nodes feed each table.
func TestCostOfManyTables(t *testing.T) {
	tier.Need(t, tier.CI)
	turns := tier.Pick(0, 3, 20)
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(out, "catalog\tcommits with %d instances\trequests a commit\tbytes out\tbytes in\n", warmInstances)
	defer out.Flush()
	for _, c := range catalogs {
		t.Run(c.name, func(t *testing.T) {
			seed := uint64(time.Now().UnixNano())
			t.Logf("seed %d", seed)
			s := c.open(t)
			tables := 50
			if c.lanes < 8 { // servers that take long for a commit
				tables = tier.Pick(0, 15, 50)
			}
			b := budgetOf(t, c.name)
			var instances []*instance
			for range warmInstances {
				instances = append(instances, s.instanceOf(commitlib.Config{MergeManifests: never}))
			}
			all := make([]*contended, tables)
			for n := range all {
				all[n] = &contended{instances: instances, budget: b}
				all[n].logs[0] = s.table(instances[0], n)
				for log := 1; log < nodes; log++ {
					all[n].logs[log] = track.New(all[n].logs[0].Table)
				}
			}
			// Tables do not wait for one another; the order of commits to each is the seed's.
			phase := func(what string, commits int, each func(c *contended, rng *rand.Rand) error) {
				t.Helper()
				for _, table := range all {
					table.expected = map[string]int{}
				}
				got := s.measure(func() {
					err := inParallel(c.lanes, all, func(n int, c *contended) error { return each(c, rand.New(rand.NewPCG(seed, uint64(n)))) })
					if err != nil {
						t.Fatal(err)
					}
				})
				want := map[string]int{}
				for _, table := range all {
					add(want, table.expected)
				}
				if commits == 0 {
					return
				}
				s.compare(what, got, want)
				commits *= tables
				fmt.Fprintf(out, "%s\t%s\t%s\t%d\t%d\n", c.name, what, mean(got.requests, commits), got.out/int64(commits), got.in/int64(commits))
			}
			phase("each instance loads the table", 0, func(c *contended, _ *rand.Rand) error {
				for i := range warmInstances {
					c.seen[i] = c.commits
					if err := c.commit(t.Context(), i, 0); err != nil {
						return err
					}
				}
				return nil
			})
			phase("by the instance that had the last", 1, func(c *contended, _ *rand.Rand) error {
				return c.commit(t.Context(), warmInstances-1, 0)
			})
			phase("by the others, who meet it for the first time", warmInstances-1, func(c *contended, _ *rand.Rand) error {
				for i := range warmInstances - 1 {
					if err := c.commit(t.Context(), i, 1+i%2); err != nil {
						return err
					}
				}
				return nil
			})
			phase("by any instance", turns, func(c *contended, rng *rand.Rand) error {
				for range turns {
					if err := c.commit(t.Context(), rng.IntN(warmInstances), rng.IntN(nodes)); err != nil {
						return err
					}
				}
				return nil
			})
		})
	}
}

// inParallel runs fn for all tables, so many at a time, and returns an error of one.
func inParallel(lanes int, all []*contended, fn func(n int, c *contended) error) error {
	errs := make([]error, len(all))
	slots := make(chan struct{}, lanes)
	var wg sync.WaitGroup
	for n, c := range all {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			errs[n] = fn(n, c)
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// mean prints requests as a mean of so many commits.
func mean(requests map[string]int, commits int) string {
	var parts []string
	for _, operation := range slices.Sorted(maps.Keys(requests)) {
		parts = append(parts, fmt.Sprintf("%.2f %s", float64(requests[operation])/float64(commits), operation))
	}
	return strings.Join(parts, ", ")
}

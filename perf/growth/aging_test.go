package growth

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"testing"
	"text/tabwriter"
	"time"

	"firn/commitlib"
	"firn/commitlib/catalog"
	"firn/commitlib/catalog/objectstore"
	"firn/commitlib/manifest"
	"firn/commitlib/objstore"
	"firn/perf/tier"
	"firn/perf/track"
)

// TestAging commits to one table, ten seconds apart by its clock, and looks at it after 100 commits and later.
func TestAging(t *testing.T) {
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	defer out.Flush()
	fmt.Fprintln(out, "commits\tmetadata kB\tsnapshots\tmanifests\tlist kB\tCPU ms of a commit\tof one that merges\t")
	a := newAging(t)
	ages := []int{100, 1000, 10_000}
	var early, late *age
	for _, n := range ages[:tier.Pick(2, 3, 3)] {
		late = a.until(t, n)
		late.print(out)
		if early == nil {
			early = late
		}
	}
	// What is bounded is so by numbers: 128 snapshots that stay as the newest, one in 56 minutes of five days, and those
	// that wait to be removed with others; nine manifests in each of the levels, of ten times the files each.
	if most := 128 + min(late.commits*10/3375, 129) + 1 + 32 + 1; late.snapshots > most {
		t.Errorf("after %d commits the table has %d snapshots, want %d at the most", late.commits, late.snapshots, most)
	}
	if late.manifests > 50 {
		t.Errorf("after %d commits the list has %d manifests", late.commits, late.manifests)
	}
	if late.metadataBytes > 1<<20 {
		t.Errorf("after %d commits the metadata has %d bytes", late.commits, late.metadataBytes)
	}
	const busy = 5 * time.Millisecond // what a busy machine adds now and then, though medians are compared
	if late.cpu > 2*early.cpu+busy {
		t.Errorf("after %d commits one takes %v of CPU, after %d it took %v", late.commits, late.cpu, early.commits, early.cpu)
	}
}

// aging is a table that is committed to.
type aging struct {
	*track.Track
	store   *objstore.Mem
	catalog *objectstore.Catalog
	now     time.Time
	done    int
	*commitlib.Committer
}

// age is what commits to it are like after so many.
type age struct {
	commits, metadataBytes, snapshots, manifests, listBytes int
	cpu, merge                                              time.Duration // medians
}

func newAging(t *testing.T) *aging {
	t.Helper()
	a := &aging{store: objstore.NewMem("mem://warehouse"), now: time.Date(2026, 11, 23, 6, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return a.now }
	a.store.SetClock(clock, func(context.Context, time.Duration) error { return nil })
	a.catalog = objectstore.New(a.store, objectstore.Config{Now: clock, Logger: slog.New(slog.DiscardHandler)})
	spec, err := track.Spec()
	if err != nil {
		t.Fatal(err)
	}
	table, err := a.catalog.Create(t.Context(), catalog.Ident{Namespace: "default", Name: "clicks"}, spec)
	if err != nil {
		t.Fatal(err)
	}
	a.Track = track.New(table)
	a.Committer = commitlib.New(a.catalog, a.store, commitlib.Config{Clock: clock})
	return a
}

// until commits until there were so many, and says what the last of them took.
func (a *aging) until(t *testing.T, commits int) *age {
	t.Helper()
	var plain, merging []time.Duration
	for ; a.done < commits; a.done++ {
		a.now = a.now.Add(10 * time.Second)
		r := a.Request(1)
		r.StagedAt = a.now
		merged, cpu := a.Counters().Merged, processCPU(t)
		results, err := a.Commit(t.Context(), a.Table.Ident, []*commitlib.Request{r})
		took := processCPU(t) - cpu
		if err != nil || results[0].Outcome != commitlib.Applied {
			t.Fatal(results, err)
		}
		if a.Counters().Merged == merged {
			plain = append(plain, took)
		} else {
			merging = append(merging, took)
		}
		a.forget(t)
	}
	now := &age{commits: commits, cpu: medianOfLast(plain), merge: medianOfLast(merging)}
	a.look(t, now)
	return now
}

func medianOfLast(took []time.Duration) time.Duration {
	last := slices.Sorted(slices.Values(took[max(0, len(took)-90):]))
	return last[len(last)/2]
}

// forget removes the version of the metadata before the last ten: each is written whole.
func (a *aging) forget(t *testing.T) {
	t.Helper()
	if err := a.store.Delete(context.Background(), fmt.Sprintf("default/clicks/metadata/v%d.metadata.json", a.done-8)); err != nil {
		t.Fatal(err)
	}
}

func (a *aging) look(t *testing.T, now *age) {
	t.Helper()
	table, err := a.catalog.Load(t.Context(), a.Table.Ident)
	if err != nil {
		t.Fatal(err)
	}
	body, err := table.Metadata.Encode()
	if err != nil {
		t.Fatal(err)
	}
	key, _ := objstore.Key(a.store, table.Metadata.CurrentSnapshot().ManifestList)
	text, _, err := a.store.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	list, err := manifest.ReadList(text)
	if err != nil {
		t.Fatal(err)
	}
	now.metadataBytes, now.snapshots, now.manifests, now.listBytes = len(body), len(table.Metadata.Snapshots), len(list), len(text)
	files := 0
	for _, m := range list {
		files += m.AddedFiles + m.ExistingFiles
	}
	if files != now.commits {
		t.Errorf("after %d commits of a file each the list names %d files", now.commits, files)
	}
}

func (n *age) print(out *tabwriter.Writer) {
	ms := func(d time.Duration) string { return fmt.Sprintf("%.2f", float64(d.Microseconds())/1000) }
	fmt.Fprintf(out, "%d\t%d\t%d\t%d\t%d\t%s\t%s\t\n", n.commits, n.metadataBytes/1000, n.snapshots, n.manifests, n.listBytes/1000, ms(n.cpu), ms(n.merge))
}

package maintain

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"firn/commitlib"
	"firn/commitlib/catalog"
	"firn/commitlib/catalog/twin"
	"firn/commitlib/iceberg"
	"firn/commitlib/objstore"
	"firn/perf/peer"
	"firn/perf/tier"
	"firn/perf/track"
)

// served is a catalog service, of which nothing is asked but what Firn asks.
type served struct{ catalog.Catalog }

func (served) SwapMetadata(context.Context, *catalog.Table, func(*iceberg.Metadata) (*iceberg.Metadata, error)) (*catalog.Table, error) {
	return nil, catalog.ErrRejected
}

// On real servers, with the objects' age told: what is left over goes, what is needed stays, and the catalog goes on.
func TestSweepOnServers(t *testing.T) {
	tier.Need(t, tier.CI)
	f := func(name string, env func(t *testing.T) []string) {
		t.Run(name, func(t *testing.T) {
			lake := track.Open(t, env(t)...)
			w := &world{TB: t, id: catalog.Ident{Namespace: "default", Name: "clicks"}, now: time.Now().Round(time.Millisecond),
				rng: rand.New(rand.NewPCG(1, 2)), events: map[uuid.UUID]commitlib.Seq{}}
			w.store, w.cat = &dated{Store: lake.Store, clock: w.clock, times: map[string]time.Time{}}, served{lake.Catalog}
			if _, ok := lake.Catalog.(twin.Backend); ok {
				w.cat = lake.Catalog.(twin.Backend)
			}
			spec, err := iceberg.EventSpec([]string{"none"})
			w.must(err)
			properties := commitlib.NewTableProperties()
			properties["history.expire.max-snapshot-age-ms"] = "1"
			table, err := w.cat.Create(t.Context(), w.id, catalog.Spec{Schema: iceberg.EventSchema(iceberg.String), Partition: spec, Properties: properties})
			w.must(err)
			root, ok := objstore.Key(w.store, table.Location)
			if !ok {
				t.Fatalf("the table lies at %s", table.Location)
			}
			w.root = root + "/"
			sweepOnServer(t, w, catalog.KeepsMetadata(lake.Catalog))
		})
	}
	f("objectstore", func(t *testing.T) []string {
		s := peer.S3(t)
		return append(s.Env(), "FIRN_WAREHOUSE="+s.Root()+"/lake")
	})
	f("glue", func(t *testing.T) []string {
		s, a := peer.S3(t), peer.AWS(t)
		return append(append(a.Env(), s.Env()...), "FIRN_CATALOG=glue", "FIRN_WAREHOUSE="+s.Root()+"/lake")
	})
	f("rest", func(t *testing.T) []string {
		r := peer.REST(t)
		return append(r.S3.Env(), "FIRN_CATALOG=rest", "FIRN_CATALOG_URI="+r.URI, "FIRN_WAREHOUSE="+r.Warehouse)
	})
}

func sweepOnServer(t *testing.T, w *world, keeper bool) {
	// Commits go by the real time: the REST service compares it with its own. What a sweep tells is the age of objects.
	committer := func() *commitlib.Committer { return commitlib.New(w.cat, w.store, commitlib.Config{}) }
	c, log, waiting := committer(), w.log(), w.log()
	for range 5 {
		w.append(c, log, 10)
	}
	w.stage(waiting, 1, 5)
	gone := []string{
		fmt.Sprintf("%sdata/%s-1-10-0-r1.parquet", w.root, log), w.root + "data/00000-1-" + uuid.NewString() + "-00001.parquet",
		w.root + "metadata/firn-" + uuid.NewString() + "-m0.avro", w.root + "metadata/snap-77-1-" + commitlib.ObjectPrefix + uuid.NewString() + ".avro",
	}
	for _, key := range gone {
		w.put(key)
	}
	expired := w.load().Metadata.CurrentSnapshot()
	for range 150 { // beyond those that are kept whatever their age
		w.append(c, log, 1)
	}
	w.pass(commitlib.MaxReuse + time.Minute)
	w.append(c, log, 1) // the fence
	if w.load().Metadata.Snapshot(expired.ID) != nil {
		t.Fatal("nothing has expired")
	}
	for _, pass := range []time.Duration{0, commitlib.Grace + time.Minute, foreignGrace} {
		w.pass(pass)
		w.sweep()
		w.whole()
	}
	list, _ := objstore.Key(w.store, expired.ManifestList)
	for _, key := range append(gone, list) {
		if w.has(key) {
			t.Errorf("%s is still there", key)
		}
	}
	for _, key := range w.whole().LeftOver {
		if !strings.Contains(key, waiting.String()) && !(keeper && strings.HasSuffix(key, ".metadata.json")) {
			t.Errorf("%s is left over", key)
		}
	}
	if len(w.keys(waiting.String())) != 1 {
		t.Error("a file that waits for its commit was removed")
	}
	w.append(c, log, 1)
	w.append(committer(), log, 1)
}

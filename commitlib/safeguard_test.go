//go:build firnsim

package commitlib

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
	"firn/commitlib/objstore"
	"firn/commitlib/safeguard"
)

// TestEachSafeguardIsNeeded plays the schedule that PROTOCOL.md gives for each safeguard of this package, with it and
// without it. A schedule lists what it found wrong.
func TestEachSafeguardIsNeeded(t *testing.T) {
	for guard, schedule := range map[safeguard.Name]func(w *world) []string{
		safeguard.RetryRecheck: func(w *world) []string {
			one, two := w.committer(), w.committer()
			a := w.log()
			first, second := w.request(a, 1, 2), w.request(a, 3, 4)
			w.commit(one, applied, first)
			w.commit(two, skipped, first)
			w.commit(two, applied, second)
			one.Commit(w.Context(), w.id, []*Request{second})
			return w.audit(map[uuid.UUID]Seq{a: 4})
		},
		safeguard.FirstFollowsWatermark: func(w *world) []string {
			a := w.log()
			c := w.committer()
			c.Commit(w.Context(), w.id, []*Request{w.request(a, 6, 9)})
			c.Commit(w.Context(), w.id, []*Request{w.request(a, 1, 5)})
			c.Commit(w.Context(), w.id, []*Request{w.request(a, 6, 9)})
			return w.audit(map[uuid.UUID]Seq{a: 9})
		},
		safeguard.TableUUID: func(w *world) []string {
			r := w.request(w.log(), 1, 5)
			_, err := w.foreign().DropAndRecreate(w.Context(), w.id, catalog.Spec{
				Schema: iceberg.EventSchema(iceberg.String), Partition: w.table.Metadata.DefaultSpec(), Properties: NewTableProperties(),
			})
			w.must(err)
			w.committer().Commit(w.Context(), w.id, []*Request{r})
			return w.audit(nil)
		},
		safeguard.WatermarkWithSnapshot: func(w *world) []string {
			a := w.log()
			w.store.SetFault(func(c objstore.Call) objstore.Fault { // the snapshot's swap never happens; with the safeguard there is no v3
				if strings.HasSuffix(c.Key, "/v3.metadata.json") && c.Op == objstore.OpPut {
					return objstore.Fault{Err: errBroken}
				}
				return objstore.Fault{}
			})
			w.committer().Commit(w.Context(), w.id, []*Request{w.request(a, 1, 5)})
			w.store.SetFault(nil)
			w.committer().Commit(w.Context(), w.id, []*Request{w.request(a, 1, 5)})
			return w.audit(map[uuid.UUID]Seq{a: 5})
		},
		safeguard.SpilledLookup: func(w *world) []string {
			c := w.committer()
			quiet, busy := w.log(), w.log()
			w.commit(c, []Outcome{Applied, Applied}, w.request(quiet, 1, 3), w.request(busy, 1, 1))
			w.pass(25 * time.Hour)
			w.commit(c, applied, w.request(busy, 2, 2))
			c.Commit(w.Context(), w.id, []*Request{w.request(quiet, 1, 3)})
			return w.audit(map[uuid.UUID]Seq{quiet: 3, busy: 2})
		},
		safeguard.FreshGap: func(w *world) (wrong []string) {
			one, two := w.committer(), w.committer()
			a := w.log()
			w.commit(one, applied, w.request(a, 1, 1))
			w.commit(two, applied, w.request(a, 2, 2))
			for range 3 {
				results, _ := one.Commit(w.Context(), w.id, []*Request{w.request(a, 3, 3)})
				if results[0].Outcome == Dropped {
					wrong = append(wrong, "the next request was taken for a gap")
				}
			}
			return wrong
		},
		safeguard.KeepOnUnknown: func(w *world) []string {
			a := w.log()
			r := w.request(a, 1, 5)
			w.store.SetFault(func(c objstore.Call) objstore.Fault {
				if strings.HasSuffix(c.Key, "/v2.metadata.json") && c.Op == objstore.OpPut {
					return objstore.Fault{Late: time.Millisecond}
				}
				return objstore.Fault{}
			})
			w.committer().Commit(w.Context(), w.id, []*Request{r})
			w.store.Settle()
			w.store.SetFault(nil)
			return w.auditOrLost(map[uuid.UUID]Seq{a: 5})
		},
	} {
		t.Run(guard.String(), func(t *testing.T) {
			for _, off := range []bool{false, true} {
				safeguard.Switch(guard, off)
				wrong := schedule(newWorld(t))
				safeguard.Switch(guard, false)
				if (len(wrong) > 0) != off {
					t.Errorf("switched off: %v, found wrong: %q", off, wrong)
				}
			}
		})
	}
}

// auditOrLost is audit where manifests themselves may be gone.
func (w *world) auditOrLost(want map[uuid.UUID]Seq) []string {
	list, ok := objstore.Key(w.store, w.load().Metadata.CurrentSnapshot().ManifestList)
	if _, err := w.store.Head(w.Context(), list); !ok || err != nil {
		return []string{"the manifest list is gone"}
	}
	return w.audit(want)
}

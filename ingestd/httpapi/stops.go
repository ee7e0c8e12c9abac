package httpapi

import (
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"firn/ingestd/registry"
	"firn/ingestd/ship"
)

// stops remembers which tables cannot be shipped until an operator acts, so that their senders are refused
// before they fill the table's share of the log. Shipping is asked at most once in stopsAge, by whichever
// request comes then; all others read a pointer.
type stops struct {
	next   atomic.Int64 // when to ask again, in nanoseconds since the epoch
	tables atomic.Pointer[map[uuid.UUID]*ship.Stop]
}

// stopsAge is how stale the answer may be. Listing the tracks takes microseconds each.
const stopsAge = time.Second

// stopped refuses events for a table whose open log is stopped. An older log that is stopped concerns no new event.
func (a *API) stopped(t *registry.Table) error {
	now := a.Now().UnixNano()
	if next := a.stops.next.Load(); now >= next && a.stops.next.CompareAndSwap(next, now+int64(stopsAge)) {
		found := map[uuid.UUID]*ship.Stop{}
		for _, st := range a.Shipper.Statuses() {
			for _, ts := range st.Tracks {
				if ts.Stop != nil && !ts.Older {
					found[ts.TableUUID] = ts.Stop
				}
			}
		}
		a.stops.tables.Store(&found)
	}
	if m := a.stops.tables.Load(); m != nil && (*m)[t.UUID] != nil {
		return stopFault((*m)[t.UUID])
	}
	return nil
}

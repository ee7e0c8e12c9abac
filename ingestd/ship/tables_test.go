package ship

import (
	"sync"
	"testing"
	"time"

	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
)

// Two tracks of one table share its state: one finds it still to be the newest while the other goes by it.
func TestStateSeenAgainWhileInUse(t *testing.T) {
	c := &tables{maxBytes: 1 << 20, entries: map[string]*loaded{}, looks: map[string]chan struct{}{}}
	ct := &catalog.Table{Metadata: &iceberg.Metadata{}}
	began := time.Now()
	c.put("clicks", ct, nil, began)
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 1000 {
			c.seen("clicks", ct, began.Add(time.Duration(i)))
		}
	})
	for range 1000 {
		kept, l, err := c.begin(t.Context(), "clicks", began.Add(-time.Second))
		if err != nil || l != nil || kept.table != ct || kept.asked.Before(began) {
			t.Fatalf("kept %+v, look %+v, %v", kept, l, err)
		}
	}
	wg.Wait()
}

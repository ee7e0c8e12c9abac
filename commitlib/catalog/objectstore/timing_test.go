package objectstore_test

import (
	"fmt"
	"testing"

	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
	"firn/commitlib/objstore"
)

// BenchmarkSwap is a warm swap over a store that costs nothing, by the number of snapshots that the table retains: it
// is the metadata file, which grows with them, that is copied, encoded and stored.
func BenchmarkSwap(b *testing.B) {
	for _, snapshots := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("snapshots=%d", snapshots), func(b *testing.B) {
			store := objstore.NewMem("mem://warehouse")
			c := newCatalog(store)
			table, err := c.Create(b.Context(), clicks, spec)
			if err != nil {
				b.Fatal(err)
			}
			id := int64(0)
			swap := func() {
				id++
				m := table.Metadata
				table, err = c.Swap(b.Context(), table, catalog.Change{Snapshot: &iceberg.Snapshot{
					ID: id, ParentID: m.CurrentSnapshotID, SequenceNumber: m.LastSequenceNumber + 1, ManifestList: "mem://warehouse/x.avro",
					Summary: map[string]string{"operation": iceberg.OpAppend, "firn.ranges": `{"0192f0c1-2d3e-7f4a-8b5c-6d7e8f901234":[[1000001,1002000]]}`},
				}})
				if err != nil {
					b.Fatal(err)
				}
			}
			for range snapshots {
				swap()
			}
			base := table
			b.ReportAllocs()
			for b.Loop() {
				swap()
				b.SetBytes(store.Counts().Of(objstore.OpPut).Bytes)
				b.StopTimer()
				if err := store.Delete(b.Context(), keyOf(store, table.MetadataLocation)); err != nil {
					b.Fatal(err)
				}
				table = base // so that every round meets the same table
				store.ResetCounts()
				b.StartTimer()
			}
		})
	}
}

func keyOf(s objstore.Store, location string) string {
	key, _ := objstore.Key(s, location)
	return key
}

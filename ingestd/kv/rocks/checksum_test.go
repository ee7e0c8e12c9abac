package rocks

import (
	"testing"

	"github.com/linxGnu/grocksdb"

	"firn/ingestd/kv"
)

// Sorted files that an earlier version wrote have CRC32C: they are read all the same.
func TestOtherChecksums(t *testing.T) {
	dir := t.TempDir()
	opts := newOptions(small(), grocksdb.TolerateCorruptedTailRecordsRecovery)
	var names []string
	for f := range kv.Families {
		opts.tables[f].SetChecksum(1)
		opts.families[f].SetBlockBasedTableFactory(opts.tables[f])
		names = append(names, f.String())
	}
	db, handles, err := grocksdb.OpenDbColumnFamilies(opts.db, dir, names, opts.families[:])
	if err != nil {
		t.Fatal(err)
	}
	old := newStore(dir, db, handles, opts)
	end := fill(t, old, 0, 4<<20, kv.Meta)
	if st := settled(old); st.FileBytes[kv.Blocks] == 0 {
		t.Fatal("nothing was written out")
	}
	_ = old.Close()
	s := mustOpen(t, dir)
	end = fill(t, s, end, 4<<20, kv.Meta)
	n := 0
	if err := s.Iterate(kv.Blocks, nil, nil, false, func(_, v []byte) error { n += len(v); return nil }); err != nil || n != end {
		t.Fatalf("%d bytes of %d are there: %v", n, end, err)
	}
}

package main

import (
	"os"
	"path/filepath"
	"testing"
)

// Events are nobody else's: the log's folder is closed to other users, and with it RocksDB's files, whose mode RocksDB
// chooses. The warehouse stays open to the engines that query it.
func TestOthersCannotReadTheLog(t *testing.T) {
	cfg := Default()
	cfg.Data = filepath.Join(t.TempDir(), "made", "data")
	cfg.Warehouse = filepath.Join(cfg.Data, "warehouse")
	if err := ensureDirs(cfg); err != nil {
		t.Fatal(err)
	}
	f := func(dir string, others bool) {
		t.Helper()
		info, err := os.Stat(dir)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm()&0o005 != 0; got != others {
			t.Errorf("%s has mode %v", dir, info.Mode())
		}
	}
	f(logDir(cfg), false)
	f(cfg.Warehouse, true)
}

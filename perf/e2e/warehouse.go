package e2e

import (
	"path/filepath"
	"testing"
)

// Warehouse is where readers find tables: perf/readers/engines.py says how a table may be named.
type Warehouse struct {
	Name func(table string) string
	Env  []string // what a reader needs beyond that: endpoints and credentials
}

// Folder is a warehouse in a local folder.
func Folder(dir string) Warehouse {
	return Warehouse{Name: func(table string) string { return filepath.Join(dir, "default", table) }}
}

// Bucket is a warehouse at s3://bucket/prefix.
func Bucket(root string, env []string) Warehouse {
	return Warehouse{Name: func(table string) string { return root + "/default/" + table }, Env: env}
}

// Glue is what AWS Glue's catalog names.
func Glue(env []string) Warehouse {
	return Warehouse{Name: func(table string) string { return "glue:default." + table }, Env: env}
}

// REST is what an Iceberg REST catalog at uri names.
func REST(uri string, env []string) Warehouse {
	return Warehouse{Name: func(table string) string { return "rest:" + uri + "#default." + table }, Env: env}
}

// Read reads a whole table with an engine and calls fn for each row, in no particular order.
func (w Warehouse) Read(t testing.TB, engine, table string, fn func(Row)) {
	t.Helper()
	readRows(t, w.Env, engine, w.Name(table), fn)
}

// Dump has an engine read many tables in one process, whose start takes longer than a small table, and returns what reads
// one of them: once each.
func (w Warehouse) Dump(t testing.TB, engine string, tables []string) (read func(table string, fn func(Row))) {
	t.Helper()
	dir := t.TempDir()
	dump := func(table string) string { return filepath.Join(dir, table+".ndjson") }
	args := []string{engine}
	for _, table := range tables {
		args = append(args, w.Name(table), dump(table))
	}
	RunPython(t, w.Env, "read_rows.py", args...)
	return func(table string, fn func(Row)) { rowsOf(t, dump(table), fn) }
}

package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"firn/perf/tier"
)

// TestShell runs scripts/duckdb's SQL: every statement's result is shown, and an
// error is one that a newcomer can act on.
func TestShell(t *testing.T) {
	tier.Need(t, tier.Test)
	f := func(status int, sql string, want ...string) {
		t.Helper()
		cmd := exec.Command(Python(t), "-B", filepath.Join(Root(), "perf", "readers", "duckdb_shell.py"), sql)
		out, _ := cmd.CombinedOutput()
		for _, w := range want {
			if !strings.Contains(string(out), w) {
				t.Errorf("%s: %q is not in\n%s", sql, w, out)
			}
		}
		if got := cmd.ProcessState.ExitCode(); got != status || strings.Contains(string(out), "Traceback") {
			t.Errorf("%s: status %d, want %d\n%s", sql, got, status, out)
		}
	}
	f(0, "CREATE TABLE t AS SELECT 41 + 1 AS x; SELECT x FROM t; SELECT 'two' AS y", "42", "two")
	f(0, "SELECT TRY('no json'->>'user') AS who", "NULL")
	f(1, "SELECT 'no json'->>'user' FROM range(1)", "Malformed JSON", "hint: a payload is not JSON")
	f(1, "SELECT * FROM iceberg_scan('"+t.TempDir()+"')", "hint: there is no table at that path")
	f(1, "SELECT * FROM clicks", "hint: a Firn table is read by its path")
	f(1, "SELEC", "syntax error")
}

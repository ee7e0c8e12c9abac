package compare

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"firn/perf/e2e"
	"firn/perf/peer"
)

func TestMain(m *testing.M) { os.Exit(e2e.Main(m)) }

// jsonFile is the variable that names a file for the rows of all comparisons; `perf compare -json` sets it.
const jsonFile = "FIRN_COMPARE_JSON"

// published are the rows of this process's comparisons so far.
var published []Row

// publish prints rows, and writes all so far to the file that was asked for.
func publish(t *testing.T, rows []Row, figures []Figure) {
	t.Helper()
	Print(os.Stdout, rows, figures)
	published = append(published, rows...)
	path := os.Getenv(jsonFile)
	if path == "" {
		return
	}
	var text bytes.Buffer
	if err := PrintJSON(&text, published); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func pythonCommand(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	script := filepath.Join(peer.Root(), "perf", "compare", "pyside.py")
	return exec.Command(e2e.Python(t), append([]string{"-B", script}, args...)...)
}

// python runs a command of the Python side to its end, and returns what it printed.
func python(t *testing.T, env []string, args ...string) []byte {
	t.Helper()
	cmd := pythonCommand(t, args...)
	var complaint bytes.Buffer
	cmd.Env, cmd.Stderr = append(peer.CleanEnv(), env...), &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("pyside.py %v: %v\n%s", args, err, &complaint)
	}
	return out
}

// A row keeps its figures on the way through JSON.
func TestJSON(t *testing.T) {
	in := []Row{{Comparison: "c", Setting: "s", Subject: "x", Figures: map[string]float64{"ms": 1.5}, Requests: map[string]int{"PutObject": 4}, Rounds: 7}}
	var text bytes.Buffer
	if err := PrintJSON(&text, in); err != nil {
		t.Fatal(err)
	}
	var out []Row
	if err := json.Unmarshal(text.Bytes(), &out); err != nil || len(out) != 1 || out[0].Figures["ms"] != 1.5 || out[0].Requests["PutObject"] != 4 {
		t.Errorf("%+v, %v", out, err)
	}
}

package cost

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"firn/perf/peer"
)

// budget is what each kind of catalog may cost, by occasion: requests of each operation.
type budget map[string]map[string]int

// occasions are those that a budget has; perf/baselines/requests says what each is.
var occasions = []string{"warm", "cold", "idle", "behind", "far", "vain", "merge", "expire"}

// budgetOf reads a catalog's budget from perf/baselines/requests.
func budgetOf(t *testing.T, catalog string) budget {
	t.Helper()
	path := filepath.Join(peer.Root(), "perf", "baselines", "requests")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b := budget{}
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != catalog {
			continue
		}
		if len(fields) < 3 || b[fields[1]] != nil {
			t.Fatalf("%s:%d: want a catalog, an occasion that it has not had yet, and operation=number or -", path, n)
		}
		requests := map[string]int{}
		for _, f := range fields[2:] {
			if f == "-" { // nothing
				continue
			}
			operation, number, _ := strings.Cut(f, "=")
			if requests[operation], err = strconv.Atoi(number); err != nil || requests[operation] < 1 {
				t.Fatalf("%s:%d: %q: want operation=number", path, n, f)
			}
		}
		b[fields[1]] = requests
	}
	for _, o := range occasions {
		if b[o] == nil {
			t.Fatalf("%s says nothing of %s, %s", path, catalog, o)
		}
	}
	return b
}

// The file can be read without any server: a line that is wrong is seen in the quick tier.
func TestBudgets(t *testing.T) {
	for _, c := range catalogs {
		if b := budgetOf(t, c.name); len(b) != len(occasions) {
			t.Errorf("%s has %d occasions, want %v", c.name, len(b), occasions)
		}
	}
}

package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"firn/commitlib/emf"
)

// OPERATION.md names every setting and every metric as they are.
func TestOperationPage(t *testing.T) {
	data, err := os.ReadFile("OPERATION.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	for _, name := range known {
		if !strings.Contains(page, "`"+name+"`") {
			t.Errorf("OPERATION.md does not name %s", name)
		}
	}
	for _, m := range emf.Committer {
		if row := fmt.Sprintf("| `%s` | %s | %s |\n", m.Name, m.Unit, m.Help); !strings.Contains(page, row) {
			t.Errorf("OPERATION.md lacks the row %s", row)
		}
	}
}

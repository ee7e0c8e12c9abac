package load

import (
	"os"
	"testing"
)

func TestLimits(t *testing.T) {
	dir := t.TempDir()
	all, err := Limits(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 6 {
		t.Fatalf("%d limits", len(all))
	}
	for _, l := range all {
		if l.P50 <= 0 || l.Bytes <= 0 || l.Stage == "socket" && (l.Events <= 0 || l.Micros <= 0) {
			t.Errorf("%+v", l)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%d files are left: %v", len(left), err)
	}
}

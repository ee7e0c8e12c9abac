package phase

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
)

func TestRecorderIsReadFromOutside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "phases")
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	r.Record("append", true)
	r.Record("append", false)
	r.Record("trim", true)
	r.Record("no such phase", true)

	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) != Size {
		t.Fatalf("file has %d bytes, want %d", len(b), Size)
	}
	for i, name := range Names {
		entered, left := binary.LittleEndian.Uint64(b[16*i:]), binary.LittleEndian.Uint64(b[16*i+8:])
		wantEntered, wantLeft := uint64(0), uint64(0)
		switch name {
		case "append":
			wantEntered, wantLeft = 1, 1
		case "trim":
			wantEntered = 1
		}
		if entered != wantEntered || left != wantLeft {
			t.Errorf("%s: entered %d left %d, want %d and %d", name, entered, left, wantEntered, wantLeft)
		}
	}
}

func TestNoFileRecordsNothing(t *testing.T) {
	r, err := Open("")
	if err != nil || r != nil {
		t.Fatalf("Open(\"\") = %v, %v; want nil, nil", r, err)
	}
	r.Record("append", true) // must not panic
}

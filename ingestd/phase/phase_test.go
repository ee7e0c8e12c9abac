package phase

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
	"time"
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

// The killer's side writes Hold into the file; that phase lasts longer then, and no other.
func TestHeldPhaseLingers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "phases")
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	// Entering and leaving linger by a coin each, so all of n passes through a held
	// phase without lingering is one in 4^n.
	pass := func(name string, n int) time.Duration {
		began := time.Now()
		for range n {
			r.Record(name, true)
			r.Record(name, false)
		}
		return time.Since(began)
	}
	if took := pass("swap", 100); took >= linger {
		t.Errorf("100 passes through a phase that nobody holds took %v", took)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(binary.LittleEndian.AppendUint64(nil, 6), Hold); err != nil { // swap is number 5
		t.Fatal(err)
	}
	if took := pass("swap", 30); took < linger {
		t.Errorf("30 passes through a held phase took %v, want %v and more", took, linger)
	}
	if took := pass("cut", 100); took >= linger {
		t.Errorf("100 passes through another phase took %v", took)
	}
}

// Package phase shows from outside what a running ingestd is doing, for tests that kill it: each phase of an
// event's way has two counters, entered and left, in a small file that is mapped into memory. The mapping
// outlives a SIGKILL, so the killer reads afterwards exactly what was under way. Without a file nothing is
// recorded and an Enter costs one branch.
//
// The killer may also ask for one phase to be held: some phases last microseconds, less than a signal
// takes. The daemon then lingers in that phase, by a coin before what the phase does or after it, so that
// kills fall on both sides of the deed.
//
// File layout, little-endian uint64s: for each phase in the order of Names two of them, entered and left; then one that
// the killer writes, Hold: 0, or 1 + the number of the phase to linger in. A phase is under way while entered > left.
package phase

import (
	"fmt"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Names lists the phases in file order; the names are those that components report to their Phase hooks.
var Names = []string{"append", "cut", "encode", "upload", "request", "swap", "read-back", "trim"}

const (
	words = 17 // eight pairs and Hold

	// Hold is the place of that word in the file, in bytes.
	Hold = 8 * (words - 1)
	// Size is the length of the file in bytes.
	Size = 8 * words

	// linger is how long a held phase lasts longer: time enough for a killer on a busy machine to see it and to strike.
	linger = 50 * time.Millisecond
)

// Recorder records phases; the nil Recorder records nothing. Safe for concurrent use.
type Recorder struct {
	counters *[words]atomic.Uint64
	index    map[string]int
}

// Open maps the file at path, making it where it is missing and zeroing it. An empty path gives a nil Recorder.
func Open(path string) (*Recorder, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open phase file: %w", err)
	}
	defer f.Close()
	if err := f.Truncate(Size); err != nil {
		return nil, fmt.Errorf("size phase file: %w", err)
	}
	mem, err := unix.Mmap(int(f.Fd()), 0, Size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map phase file: %w", err)
	}
	r := &Recorder{
		counters: (*[words]atomic.Uint64)(unsafe.Pointer(unsafe.SliceData(mem))), // page-aligned, so each counter is
		index:    make(map[string]int, len(Names)),
	}
	for i, name := range Names {
		r.index[name] = i
	}
	return r, nil
}

// Record notes that a phase was entered or left. It has the form of the components' Phase hooks.
func (r *Recorder) Record(name string, enter bool) {
	if r == nil {
		return
	}
	i, ok := r.index[name]
	if !ok {
		return
	}
	held := r.counters[words-1].Load() == uint64(i)+1 && rand.IntN(2) == 0
	if enter {
		r.counters[2*i].Add(1)
	}
	if held {
		time.Sleep(linger)
	}
	if !enter {
		r.counters[2*i+1].Add(1)
	}
}

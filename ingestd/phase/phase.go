// Package phase shows from outside what a running ingestd is doing, for tests that kill it: each phase of an event's
// way has two counters, entered and left, in a small file that is mapped into memory. The mapping outlives a SIGKILL, so the killer
// reads afterwards exactly what was under way. Without a file nothing is recorded and an Enter costs one branch.
//
// File layout: for each phase in the order of Names, two little-endian uint64: entered, left. A phase is
// under way while entered > left.
package phase

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Names lists the phases in file order; the names are those that components report to their Phase hooks.
var Names = []string{"append", "cut", "encode", "upload", "request", "swap", "read-back", "trim"}

// Size is the length of the file in bytes.
const Size = 8 * 16

// Recorder records phases; the nil Recorder records nothing. Safe for concurrent use.
type Recorder struct {
	counters *[2 * Size / 16]atomic.Uint64
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
		counters: (*[2 * Size / 16]atomic.Uint64)(unsafe.Pointer(unsafe.SliceData(mem))), // page-aligned, so each counter is
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
	if !enter {
		r.counters[2*i+1].Add(1)
		return
	}
	r.counters[2*i].Add(1)
}

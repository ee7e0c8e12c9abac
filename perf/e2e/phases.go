package e2e

import (
	"encoding/binary"
	"os"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"firn/ingestd/phase"
)

// PhaseFile is a running daemon's phase file: phase.Open describes it.
type PhaseFile struct {
	path string
	mem  []byte
}

// MapPhases maps the file of a daemon that is ready; it has its full size then.
func MapPhases(t testing.TB, path string) *PhaseFile {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	mem, err := unix.Mmap(int(f.Fd()), 0, phase.Size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	return &PhaseFile{path, mem}
}

// Close unmaps the file.
func (p *PhaseFile) Close() { unix.Munmap(p.mem) }

// underWay says whether phase i has been entered and not left, now.
func (p *PhaseFile) underWay(i int) bool {
	left := p.word(16*i + 8).Load() // before entered: otherwise a phase entered and left in between would look as if under way
	return p.word(16*i).Load() > left
}

// word is a word of the file; the mapping is page-aligned.
func (p *PhaseFile) word(at int) *atomic.Uint64 { return (*atomic.Uint64)(unsafe.Pointer(&p.mem[at])) }

// Await asks the daemon to hold phase i, and spins until that is under way, at most the time given.
func (p *PhaseFile) Await(i int, atMost time.Duration) bool {
	p.word(phase.Hold).Store(uint64(i) + 1)
	for end := time.Now().Add(atMost); !p.underWay(i); time.Sleep(50 * time.Microsecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// Struck reads, after the daemon's death, which phases it died in.
func (p *PhaseFile) Struck(t testing.TB) (names []string) {
	t.Helper()
	data, err := os.ReadFile(p.path)
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range phase.Names {
		if binary.LittleEndian.Uint64(data[16*i:]) > binary.LittleEndian.Uint64(data[16*i+8:]) {
			names = append(names, name)
		}
	}
	return names
}

package load

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"firn/perf/hist"
)

// Disk is what the event log lies on. An ack waits for it: no figure means anything without.
type Disk struct {
	Filesystem string `json:"filesystem"`
	Device     string `json:"device"`
	Kind       string `json:"kind"` // solid-state, rotational, memory, or unknown; a virtual disk says what it likes
	Sync       Fsync  `json:"fsync"`
}

// Fsync is what it costs to make a few hundred bytes at the end of a file durable, with nothing else under way: the least
// that an ack can take.
type Fsync struct {
	Samples int     `json:"samples"`
	P50Ms   float64 `json:"p50_ms"`
	P99Ms   float64 `json:"p99_ms"`
}

// inspectDisk says what the directory lies on, and measures its syncs.
func inspectDisk(dir string) (Disk, error) {
	d := Disk{Kind: "unknown"}
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return d, fmt.Errorf("inspect disk of %s: %w", dir, err)
	}
	number := fmt.Sprintf("%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev))
	for line := range strings.Lines(readText("/proc/self/mountinfo")) {
		mount, kind, _ := strings.Cut(line, " - ")
		f, k := strings.Fields(mount), strings.Fields(kind)
		if len(f) > 2 && len(k) > 1 && f[2] == number {
			d.Filesystem, d.Device = k[0], k[1]
			break
		}
	}
	if d.Filesystem == "tmpfs" {
		d.Kind = "memory"
	}
	if sys, err := filepath.EvalSymlinks("/sys/dev/block/" + number); err == nil {
		for _, at := range []string{sys, filepath.Dir(sys)} { // a partition's queue is its disk's
			switch strings.TrimSpace(readText(filepath.Join(at, "queue/rotational"))) {
			case "0":
				d.Kind = "solid-state"
			case "1":
				d.Kind = "rotational"
			}
		}
	}
	p, err := newProbe(dir)
	if err != nil {
		return d, err
	}
	defer p.close()
	for end := time.Now().Add(time.Second); p.took.Count() < 100 && time.Now().Before(end); {
		if err := p.once(); err != nil {
			return d, err
		}
	}
	d.Sync = p.result()
	return d, nil
}

// probe measures syncs by a file of its own.
type probe struct {
	f    *os.File
	took hist.Histogram
}

func newProbe(dir string) (*probe, error) {
	f, err := os.CreateTemp(dir, "fsync-probe-*")
	if err != nil {
		return nil, fmt.Errorf("measure fsync: %w", err)
	}
	return &probe{f: f}, nil
}

// once appends as much as a write-ahead log does for one small event, and syncs.
func (p *probe) once() error {
	var record [300]byte
	if _, err := p.f.Write(record[:]); err != nil {
		return fmt.Errorf("measure fsync: %w", err)
	}
	began := time.Now()
	if err := syscall.Fdatasync(int(p.f.Fd())); err != nil {
		return fmt.Errorf("measure fsync: %w", err)
	}
	p.took.Record(time.Since(began))
	return nil
}

func (p *probe) result() Fsync {
	s := p.took.Snapshot()
	return Fsync{Samples: int(s.Count()), P50Ms: ms(s.Quantile(0.5)), P99Ms: ms(s.Quantile(0.99))}
}

func (p *probe) close() {
	p.f.Close()
	os.Remove(p.f.Name())
}

package eventlog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// How long a refused producer is told to wait, by reason; at the bounds on the backlog bound.refuse says it.
const (
	retryDisk  = 10 * time.Second // someone has to make room
	retryDedup = time.Minute      // keys expire one by one, over hours
)

// diskEvery is how often free space is read: statfs costs a microsecond, and a second of
// appends is far smaller than the reserve.
const diskEvery = 50 * time.Millisecond

// disk watches the free space of the data volume. While there is room it holds a ballast file; below the reserve
// appends are refused and the ballast is given up, so that what drains the log (cuts, watermarks, files that compaction
// writes) has room even where another program has filled the volume. It is taken again before appends are.
type disk struct {
	mu      sync.Mutex // protects all below
	checked time.Time
	ballast bool // the file is there
}

// openDisk finds the ballast that an earlier run left.
func openDisk(cfg Config) disk {
	_, err := os.Stat(cfg.BallastPath)
	return disk{ballast: cfg.BallastPath != "" && err == nil}
}

// hasRoom reports whether appends may be taken, and looks at the disk at most every diskEvery.
func (l *Log) hasRoom() bool {
	d := &l.disk
	if l.cfg.FreeSpace == nil {
		return true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if now := time.Now(); now.Sub(d.checked) >= diskEvery {
		d.checked = now
		low := d.look(l.cfg)
		l.mu.Lock()
		l.lowDisk = low
		l.mu.Unlock()
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	return !l.lowDisk
}

// look reads the free space, takes or gives up the ballast, and reports whether the disk is low. Space that cannot be
// read counts as room: a full disk is then met by the write itself.
func (d *disk) look(cfg Config) (low bool) {
	free, err := cfg.FreeSpace()
	if err != nil {
		return false
	}
	wants := cfg.BallastPath != "" && cfg.BallastBytes > 0
	switch {
	case d.ballast && free < cfg.ReserveBytes:
		d.release(cfg)
		return true
	case d.ballast || !wants:
		return free < cfg.ReserveBytes
	case free < cfg.ReserveBytes+cfg.BallastBytes:
		return true
	}
	d.ballast = hold(cfg) == nil // without it the reserve alone has to do
	return false
}

// GiveUpBallast removes the ballast before the log is open: for a start on a volume so full that the store cannot open.
func (c Config) GiveUpBallast() error {
	if err := os.Remove(c.BallastPath); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("give up ballast: %w", err)
	}
	return nil
}

func (d *disk) release(cfg Config) {
	if cfg.GiveUpBallast() == nil {
		d.ballast = false
	}
}

// hold makes the ballast file of its full size: allocated, not sparse.
func hold(cfg Config) error {
	f, err := os.OpenFile(cfg.BallastPath, os.O_CREATE|os.O_WRONLY, 0o640)
	if err != nil {
		return fmt.Errorf("make ballast: %w", err)
	}
	if err := unix.Fallocate(int(f.Fd()), 0, 0, cfg.BallastBytes); err != nil {
		_ = f.Close()
		_ = os.Remove(cfg.BallastPath)
		return fmt.Errorf("make ballast: %w", err)
	}
	return f.Close()
}

package main

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"runtime"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"
)

// warmups are slices that are not measured: pools fill, arenas and maps grow, the branch predictor learns.
const warmups = 2

// measure prints a line for each slice. The collector runs before each, so that a slice pays for its own garbage alone.
func (s stage) measure(in io.Reader, out io.Writer) error {
	runtime.GOMAXPROCS(1) // what the collector does beside counts as well, and nothing spins
	lines := bufio.NewScanner(in)
	for i := 0; i < warmups || lines.Scan(); i++ {
		run, n, err := s.prepare()
		if err != nil {
			return fmt.Errorf("prepare stage %s: %w", s.name, err)
		}
		runtime.GC()
		before, err := cpu()
		if err != nil {
			return err
		}
		if err := run(); err != nil {
			return fmt.Errorf("run stage %s: %w", s.name, err)
		}
		after, err := cpu()
		if err != nil {
			return err
		}
		if i >= warmups {
			fmt.Fprintf(out, "%.1f\n", float64(after-before)/float64(n))
		}
	}
	return lines.Err()
}

// allocations prints objects and bytes of one operation: the least of some slices, since a timer of the runtime's may
// allocate in one. The collector stands still, so that pools keep what they have.
func (s stage) allocations(out io.Writer) error {
	const slices = 10
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(-1)
	objects, bytes := uint64(math.MaxUint64), uint64(math.MaxUint64)
	for i := range warmups + slices {
		run, n, err := s.prepare()
		if err != nil {
			return fmt.Errorf("prepare stage %s: %w", s.name, err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := run(); err != nil {
			return fmt.Errorf("run stage %s: %w", s.name, err)
		}
		runtime.ReadMemStats(&after)
		if i >= warmups {
			objects = min(objects, (after.Mallocs-before.Mallocs)/uint64(n))
			bytes = min(bytes, (after.TotalAlloc-before.TotalAlloc)/uint64(n))
		}
	}
	_, err := fmt.Fprintf(out, "%d %d\n", objects, bytes)
	return err
}

// cpu is the CPU time, user's and system's, that this process has used: the scheduler's own account, in nanoseconds.
func cpu() (time.Duration, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t); err != nil {
		return 0, fmt.Errorf("read CPU time: %w", err)
	}
	return time.Duration(t.Nano()), nil
}

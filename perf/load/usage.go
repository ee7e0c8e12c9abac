package load

import (
	"strconv"
	"strings"
	"syscall"
	"time"

	"firn/perf/spawn"
)

// ownCPU is the user and system time that this process has used.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peakMemory is the largest resident memory that a process has had, in bytes; 0 where there is no such process.
func peakMemory(pid int) int64 {
	size, err := spawn.MemoryOf(pid, "VmHWM")
	if pid == 0 || err != nil {
		return 0
	}
	return size
}

// userHZ is the unit of /proc/stat on Linux; the kernel's interface fixes it at 100.
const userHZ = 100

// machineCPU is the time that all cores together have been busy.
func machineCPU() time.Duration {
	line, _, _ := strings.Cut(readText("/proc/stat"), "\n")
	var busy int64
	for i, f := range strings.Fields(line) {
		// proc(5): user, nice, system, idle, iowait, irq, softirq, steal; what guests took is in user already.
		if i == 0 || i == 4 || i == 5 || i > 8 {
			continue
		}
		n, _ := strconv.ParseInt(f, 10, 64)
		busy += n
	}
	return time.Duration(busy) * time.Second / userHZ
}

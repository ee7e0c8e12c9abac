package load

import (
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
)

// Machine is where a measurement was made.
type Machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Memory int64  `json:"memory_bytes"`
	Kernel string `json:"kernel"`
	Arch   string `json:"arch"`
}

func thisMachine() Machine {
	return Machine{
		CPU: afterColon("/proc/cpuinfo", "model name"), Cores: runtime.NumCPU(), Memory: totalMemory(),
		Kernel: strings.TrimSpace(readText("/proc/sys/kernel/osrelease")), Arch: runtime.GOARCH,
	}
}

func readText(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(b)
}

// afterColon is the value of the first line of a file that begins with name; empty where there is none.
func afterColon(path, name string) string {
	for line := range strings.Lines(readText(path)) {
		if strings.HasPrefix(line, name) {
			_, v, _ := strings.Cut(line, ":")
			return strings.TrimSpace(v)
		}
	}
	return ""
}

func totalMemory() int64 {
	kib, _ := strconv.ParseInt(strings.TrimSuffix(afterColon("/proc/meminfo", "MemTotal"), " kB"), 10, 64)
	return kib << 10
}

// thisProgram is the generator's own build. go run stamps no revision: then it is the checkout's that it was run in.
func thisProgram() Generator {
	g := Generator{Go: runtime.Version()}
	if info, ok := debug.ReadBuildInfo(); ok {
		set := map[string]string{}
		for _, s := range info.Settings {
			set[s.Key] = s.Value
		}
		if g.Revision = set["vcs.revision"]; g.Revision != "" && set["vcs.modified"] == "true" {
			g.Revision += "-dirty"
		}
	}
	if g.Revision == "" {
		if out, err := exec.Command("git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*").Output(); err == nil {
			g.Revision = strings.TrimSpace(string(out))
		}
	}
	return g
}

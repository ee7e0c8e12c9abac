package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"firn/perf/e2e"
	"firn/perf/tier"
)

func TestMain(m *testing.M) { os.Exit(e2e.Main(m)) }

// One command starts a daemon, measures it and leaves a result, of which another makes a page; a third profiles it.
func TestCommandsOnTheRealDaemon(t *testing.T) {
	tier.Need(t, tier.CI)
	dir, ingestd := t.TempDir(), e2e.PlainIngestd(t)
	result := filepath.Join(dir, "result.json")
	if err := runLoad([]string{"-ingestd", ingestd, "-dir", dir, "-o", result, "-scenario", "idle", "-duration", "1s", "--", "-cut-interval", "200ms"}, io.Discard); err != nil {
		t.Fatal(err)
	}
	r, err := readResult(result)
	if err != nil {
		t.Fatal(err)
	}
	if r.Scenario != "idle" || r.Machine.Cores == 0 || r.Disk.Sync.Samples == 0 || len(r.Server.Flags) != 2 || r.Steps[0].Fsync == nil || r.Steps[0].AckedEvents == 0 {
		t.Errorf("%+v", r)
	}
	var page bytes.Buffer
	if err := runReport([]string{result}, &page); err != nil || !strings.Contains(page.String(), "one event at rest") {
		t.Errorf("%v: a page of %d bytes", err, page.Len())
	}

	profiles := filepath.Join(dir, "profiles")
	var said bytes.Buffer
	if err := runProfile([]string{"-ingestd", ingestd, "-o", profiles, "-duration", "4s"}, &said); err != nil {
		t.Fatal(err)
	}
	for _, k := range kinds {
		for _, suffix := range []string{".svg", ".pprof"} {
			if info, err := os.Stat(filepath.Join(profiles, k.name+suffix)); err != nil || info.Size() == 0 {
				t.Errorf("%s%s: %v", k.name, suffix, err)
			}
		}
	}
	if !strings.Contains(said.String(), profiles) || !strings.Contains(said.String(), "Firn\n") {
		t.Errorf("it said %q", said.String())
	}
	if svg, err := os.ReadFile(filepath.Join(profiles, "cpu.svg")); err != nil || !strings.Contains(string(svg), "event.DecodeBulk") {
		t.Errorf("%v: the CPU's flame graph of %d bytes has no decoder", err, len(svg))
	}
	left, err := filepath.Glob(filepath.Join(dir, "firn-perf-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("%v are left, %v", left, err)
	}
}

// What cannot be is refused before anything is started or sent.
func TestWrongFlags(t *testing.T) {
	f := func(want string, run func([]string, io.Writer) error, args ...string) {
		t.Helper()
		err := run(args, io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
	f("not a loopback address", runLoad, "-addr", "192.0.2.1:80")
	f("no scenario is called", runLoad, "-scenario", "fast")
	f("no mix is called", runLoad, "-mix", "logs")
	f("need -ingestd", runLoad, "--", "-cut-interval", "1s")
	f("give a time", runLoad, "-duration", "-1s")
	f("start ingestd", runLoad, "-ingestd", "/nonexistent/ingestd")
	f("name the files", runReport)
	f("read result", runReport, "/nonexistent.json")
	f("give 4s to 10m", runProfile, "-duration", "1s")
	f("give 1 to 100 runs", runGoals, "-runs", "0")
}

func TestScenariosAreListed(t *testing.T) {
	var b bytes.Buffer
	if err := listScenarios(nil, &b); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"single", "bulk", "ndjson", "mixed", "many-tables", "many-partitions", "hot-reads", "backpressure", "backfill", "end-to-end", "idle"} {
		if !strings.Contains("\n"+b.String(), "\n"+name+" ") {
			t.Errorf("%s is not listed", name)
		}
	}
}

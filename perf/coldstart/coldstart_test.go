// Package coldstart measures the built function, the file that is delivered, as Lambda runs it: from the start of its
// process to its first answer, without a commit and with one, and warm invocations after that; as it is built, and as it
// would be if Avro schemas were parsed at each use (build tag firnreparse).
//
//	FIRN_TIER=ci go test -run TestColdStart -v ./perf/coldstart      (slow: more starts)
//
// The Runtime API and the store are on this machine: what is measured is the function's own part. In AWS the loading of
// the file and each round trip to S3 come on top.
package coldstart

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"firn/commitlib/catalog"
	"firn/commitlib/warehouse"
	"firn/perf/peer"
	"firn/perf/peer/runtimeapi"
	"firn/perf/spawn"
	"firn/perf/tier"
	"firn/perf/track"
)

const (
	// firstAnswer bounds the time from the start of the process to its first answer.
	firstAnswer = 15 * time.Millisecond

	files   = 10 // data files of a commit
	warmups = 5  // invocations that are not measured: the first ones grow the heap

	// rounds of so many invocations each are measured in a process; the table has as many snapshots in the end.
	rounds  = 6
	invoked = 20
)

// build compiles the function, with the flags of scripts/dist.
func build(t testing.TB, name, tags string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	cmd := exec.Command("go", "build", "-trimpath", "-tags", tags, "-ldflags", "-s -w", "-o", path, "./flushlambda")
	cmd.Dir = peer.Root()
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the function: %v\n%s", err, out)
	}
	return path
}

// newTrack makes a table in the warehouse that env names, and a log on it.
func newTrack(t testing.TB, env []string) *track.Track {
	t.Helper()
	values := map[string]string{}
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		values[name] = value
	}
	settings, err := warehouse.FromEnv(func(name string) string { return values[name] })
	if err != nil {
		t.Fatal(err)
	}
	w, err := warehouse.Open(t.Context(), settings)
	if err != nil {
		t.Fatal(err)
	}
	spec, err := track.Spec()
	if err != nil {
		t.Fatal(err)
	}
	made, err := w.Catalog.Create(t.Context(), catalog.Ident{Namespace: "default", Name: "clicks"}, spec)
	if err != nil {
		t.Fatal(err)
	}
	return track.New(made)
}

// event is the track's next request as the event source brings it.
func event(t testing.TB, tr *track.Track) []byte {
	t.Helper()
	m, err := track.Message(tr.Request(files))
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(events.SQSEvent{Records: []events.SQSMessage{{
		MessageId: m.ID, Body: string(m.Body), EventSource: "aws:sqs", Attributes: map[string]string{"MessageGroupId": m.Group},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// invoke hands the function an event, and wants nothing of it back.
func invoke(t testing.TB, f *runtimeapi.Function, event []byte) (answered time.Time) {
	t.Helper()
	got, err := f.Invoke(context.Background(), event, 30*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if got.Failed || string(got.Body) != `{"batchItemFailures":[]}` {
		t.Fatalf("answered %s (error: %v)\n%s", got.Body, got.Failed, f.Log(2000))
	}
	return got.At
}

// subject is one build on one store, and what was measured of it.
type subject struct {
	store, build string
	program      string
	env          []string
	track        *track.Track

	ready   []time.Duration // process start to asking for an invocation
	empty   []time.Duration // process start to the answer to an empty batch
	commit  []time.Duration // process start to the answer to a batch with a commit
	warm    []time.Duration // an invocation with a commit
	warmCPU time.Duration   // of one of them, in the round that took the least
	memory  int64           // the most that was resident, in bytes

	running *runtimeapi.Function
}

// start is one cold start of each kind.
func (s *subject) start(t testing.TB) {
	t.Helper()
	f := runtimeapi.Start(t, s.program, s.env...)
	if err := f.Asked(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.ready = append(s.ready, time.Since(f.Started))
	f.Kill()

	// The invocation waits already when the process starts, as it does in Lambda.
	f = runtimeapi.Start(t, s.program, s.env...)
	s.empty = append(s.empty, invoke(t, f, []byte(`{"Records":[]}`)).Sub(f.Started))
	f.Kill()

	e := event(t, s.track)
	f = runtimeapi.Start(t, s.program, s.env...)
	s.commit = append(s.commit, invoke(t, f, e).Sub(f.Started))
	f.Kill()
}

// round is some warm invocations of one process.
func (s *subject) round(t testing.TB) {
	t.Helper()
	if s.running == nil {
		s.running = runtimeapi.Start(t, s.program, s.env...)
		for range warmups {
			invoke(t, s.running, event(t, s.track))
		}
	}
	ready := make([][]byte, invoked)
	for i := range ready {
		ready[i] = event(t, s.track)
	}
	before := cpu(t, s.running.PID())
	for _, e := range ready {
		began := time.Now()
		s.warm = append(s.warm, invoke(t, s.running, e).Sub(began))
	}
	took := (cpu(t, s.running.PID()) - before) / invoked
	if s.warmCPU == 0 || took < s.warmCPU {
		s.warmCPU = took
	}
	s.memory = spawn.Memory(t, s.running.PID(), "VmHWM")
}

func TestColdStart(t *testing.T) {
	tier.Need(t, tier.CI)
	starts := tier.Pick(0, 15, 60)
	s3 := peer.S3(t)
	programs := map[string]string{
		"parsed once":        build(t, "once", "lambda.norpc,nethttpomithttp2"),
		"parsed at each use": build(t, "each", "lambda.norpc,nethttpomithttp2,firnreparse"),
	}
	var subjects []*subject
	for _, store := range []string{"directory", "S3"} {
		for _, name := range []string{"parsed once", "parsed at each use"} {
			env := []string{"FIRN_WAREHOUSE=" + t.TempDir()}
			if store == "S3" {
				env = append(s3.Env(), "FIRN_WAREHOUSE=s3://"+s3.NewBucket(t)+"/lake")
			}
			subjects = append(subjects, &subject{store: store, build: name, program: programs[name], env: env, track: newTrack(t, env)})
		}
	}
	// In turn, so that whatever else the machine does meets all of them.
	for range starts {
		for _, s := range subjects {
			s.start(t)
		}
	}
	for range rounds {
		for _, s := range subjects {
			s.round(t)
		}
	}

	var text strings.Builder
	out := tabwriter.NewWriter(&text, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "store\tschemas\tstart to asking\tto answer\tto answer with commit\twarm commit\tp95\tits CPU\tpeak MB\t")
	for _, s := range subjects {
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%.0f\t\n", s.store, s.build,
			both(s.ready), both(s.empty), both(s.commit), both(s.warm), ms(at(s.warm, 95)), ms(s.warmCPU), float64(s.memory)/1e6)
	}
	out.Flush()
	info, err := os.Stat(programs["parsed once"])
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("milliseconds, median (least) of %d starts and %d warm commits of %d data files; the file has %.1f MB\n%s",
		starts, rounds*invoked, files, float64(info.Size())/1e6, &text)

	for i := 0; i < len(subjects); i += 2 {
		once, each := subjects[i], subjects[i+1]
		// The least counts: this machine does other things as well, and a function has its own.
		if least := slices.Min(once.empty); least > firstAnswer {
			t.Errorf("%s: the first answer came %v after the start of the process, want %v", once.store, least, firstAnswer)
		}
		if once.warmCPU >= each.warmCPU {
			t.Errorf("%s: a warm commit takes %v of CPU with the schema cache and %v without: the cache is not worth its code", once.store, once.warmCPU, each.warmCPU)
		}
	}
}

// at is the percentile of the values.
func at(values []time.Duration, percent int) time.Duration {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(len(sorted)*percent/100, len(sorted)-1)]
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d.Microseconds())/1000) }

func both(values []time.Duration) string {
	return ms(at(values, 50)) + " (" + ms(slices.Min(values)) + ")"
}

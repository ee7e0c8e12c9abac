package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"firn/commitlib"
	"firn/perf/peer/runtimeapi"
)

// The delivered program commits a real request, answers as the event source wants, and outlives what is no request.
func TestBootstrapCommits(t *testing.T) {
	l := dirLake(t)
	p := l.start()

	// f invokes with the bodies in the order given, and wants watermark and rows; nothing is to be delivered again.
	f := func(name string, order []string, bodies map[string]string, watermark commitlib.Seq, rows string) {
		t.Helper()
		got := invoke(t, p, batch(t, tableID.String(), bodies, order...))
		if got.Failed || string(got.Body) != nothingAgain {
			t.Errorf("%s: answered %s (error: %v)", name, got.Body, got.Failed)
		}
		if mark, n := l.state(); mark != watermark || n != rows {
			t.Errorf("%s: watermark %d and %s rows, want %d and %s", name, mark, n, watermark, rows)
		}
	}
	one, two, three := l.request(1, 10), l.request(11, 15), l.request(16, 20)

	f("one request", []string{"m1"}, map[string]string{"m1": one}, 10, "10")
	f("delivered again", []string{"m2"}, map[string]string{"m2": one}, 10, "10")
	f("two requests, one of them twice", []string{"m3", "m4", "m5"}, map[string]string{"m3": two, "m4": two, "m5": three}, 20, "20")
	f("a gap is dropped", []string{"m6"}, map[string]string{"m6": l.request(31, 40)}, 20, "20")
	f("no request at all", []string{"m7", "m8", "m9"}, map[string]string{"m7": "{", "m8": "", "m9": `{"version":99}`}, 20, "20")
	f("and one behind it", []string{"m10", "m11"}, map[string]string{"m10": "junk", "m11": l.request(21, 21)}, 21, "21")
	f("an empty batch", nil, nil, 21, "21")
}

// An event that is none of a FIFO queue fails the invocation, so that nothing of it is taken for done.
func TestBootstrapRefusesForeignEvents(t *testing.T) {
	l := dirLake(t)
	p := l.start()
	for _, event := range []string{
		`{"Records":[{"eventSource":"aws:s3","s3":{}}]}`,
		`{"Records":[{"eventSource":"aws:sqs","messageId":"m1","body":"{}","attributes":{}}]}`, // of a standard queue
	} {
		if got := invoke(t, p, []byte(event)); !got.Failed || !strings.Contains(string(got.Body), "SQS FIFO queue") {
			t.Errorf("%s: answered %s (error: %v)", event, got.Body, got.Failed)
		}
	}
	// The process lives on.
	if got := invoke(t, p, batch(t, tableID.String(), map[string]string{"m1": l.request(1, 3)}, "m1")); got.Failed || string(got.Body) != nothingAgain {
		t.Errorf("after it: answered %s (error: %v)", got.Body, got.Failed)
	}
}

// A warehouse that can't be read is neither a success nor a rejection: the messages come again, and are committed then.
func TestBootstrapReturnsWhatItCouldNotDecide(t *testing.T) {
	l := dirLake(t)
	p := l.start()
	bodies := map[string]string{"m1": l.request(1, 5), "m2": l.request(6, 9)}

	// A link to itself: whoever looks through it gets an error that says neither yes nor no, root included.
	metadata := filepath.Join(strings.TrimPrefix(l.table.Location, "file://"), "metadata")
	if err := os.Rename(metadata, metadata+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("metadata", metadata); err != nil {
		t.Fatal(err)
	}
	got := invoke(t, p, batch(t, tableID.String(), bodies, "m1", "m2"))
	if want := `{"batchItemFailures":[{"itemIdentifier":"m1"},{"itemIdentifier":"m2"}]}`; got.Failed || string(got.Body) != want {
		t.Errorf("with a broken store: answered %s (error: %v), want %s", got.Body, got.Failed, want)
	}

	if err := os.Remove(metadata); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(metadata+".away", metadata); err != nil {
		t.Fatal(err)
	}
	got = invoke(t, p, batch(t, tableID.String(), bodies, "m1", "m2"))
	if got.Failed || string(got.Body) != nothingAgain {
		t.Errorf("with the store healed: answered %s (error: %v)", got.Body, got.Failed)
	}
	if mark, rows := l.state(); mark != 9 || rows != "9" {
		t.Errorf("watermark %d and %s rows, want 9 and 9", mark, rows)
	}
}

// A wrong environment is told to the Runtime API and logged, all of it at once, and the process ends.
func TestBootstrapRefusesWrongEnvironment(t *testing.T) {
	f := func(env []string, want ...string) {
		t.Helper()
		p := runtimeapi.Start(t, bootstrap(t), env...)
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		told := p.Asked(ctx)
		if err := p.Wait(ctx); err == nil {
			t.Errorf("%v: exited 0", env)
		}
		var line struct{ Level, Msg, Error string }
		if err := json.Unmarshal([]byte(p.Log(1<<20)), &line); err != nil || line.Level != "ERROR" {
			t.Errorf("%v: logged %q: %v", env, p.Log(4000), err)
		}
		for _, w := range want {
			if told == nil || !strings.Contains(told.Error(), w) {
				t.Errorf("%v: the Runtime API was told %v, want %q", env, told, w)
			}
			if !strings.Contains(line.Error, w) {
				t.Errorf("%v: logged %+v, want %q", env, line, w)
			}
		}
	}
	missing := filepath.Join(t.TempDir(), "missing")
	f(nil, "FIRN_WAREHOUSE: is not set")
	f([]string{"FIRN_WAREHOUSE=relative", "FIRN_CATALOG=hive", "FIRN_CATALGO=glue"},
		"is relative, and table metadata states absolute locations", "is no catalog: write objectstore, glue or rest", "FIRN_CATALGO: flushlambda has no such setting")
	f([]string{"FIRN_WAREHOUSE=" + missing}, "mount or make the directory")
	f([]string{"FIRN_WAREHOUSE=s3://bucket/lake", "AWS_ACCESS_KEY_ID=a"}, "AWS_REGION is not set", "AWS_SECRET_ACCESS_KEY is not: set both or neither")
	f([]string{"FIRN_WAREHOUSE=" + t.TempDir(), "FIRN_DEAD_LETTER_QUEUE=firn-dead", "AWS_REGION=eu-west-1", "AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=b"},
		"FIRN_DEAD_LETTER_QUEUE: ", "not a name or an ARN")
}

// Without Lambda the program says how it is started, and -poll is the only flag.
func TestCommandLine(t *testing.T) {
	f := func(want string, status int, args ...string) {
		t.Helper()
		cmd := exec.Command(bootstrap(t), args...)
		cmd.Env = []string{"FIRN_WAREHOUSE=" + t.TempDir()}
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != status || !strings.Contains(string(out), want) {
			t.Errorf("%v: %v, %s; want status %d and %q", args, err, out, status, want)
		}
	}
	f("start it with -poll", 1)
	f("FIRN_QUEUE: is not set", 1, "-poll")
	f("flag provided but not defined: -warehouse", 2, "-warehouse", "x")
	f("unexpected argument", 2, "poll")
}

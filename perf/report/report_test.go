package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"firn/perf/load"
)

// results are real ones, of short runs.
func results(t *testing.T) (all []*load.Result) {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.json")
	if err != nil || len(paths) < 2 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		r := new(load.Result)
		if err := json.Unmarshal(text, r); err != nil {
			t.Fatal(path, err)
		}
		all = append(all, r)
	}
	return all
}

func draw(t *testing.T, all []*load.Result) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, all); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// A page needs nothing but itself, its drawings are well-formed, and each figure says what it says and what it does not.
func TestPageStandsAlone(t *testing.T) {
	text := draw(t, results(t))
	for _, bad := range []string{"<script", "src=", "href=", "url(", "http:", "https:", "@import", "NaN", "Inf", "%!"} {
		if strings.Contains(text, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	drawings := 0
	for rest := text; ; drawings++ {
		_, after, ok := strings.Cut(rest, "<svg")
		if !ok {
			break
		}
		drawing, after, ok := strings.Cut(after, "</svg>")
		if !ok {
			t.Fatal("a drawing has no end")
		}
		d := xml.NewDecoder(strings.NewReader("<svg" + drawing + "</svg>"))
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("drawing %d: %v", drawings, err)
			}
		}
		rest = after
	}
	if drawings < 8 {
		t.Errorf("%d drawings", drawings)
	}
	for _, want := range []string{"What it says:</b> ", "What it does not say:</b> "} {
		if n := strings.Count(text, want); n != strings.Count(text, "<figure>") || n < drawings {
			t.Errorf("%d times %q beside %d drawings", n, want, drawings)
		}
		if strings.Contains(text, want+"</p>") {
			t.Errorf("an empty %q", want)
		}
	}
	for _, want := range []string{"Throughput by concurrency", "Latency percentiles: bulk", "Pipeline rates: end-to-end", "Backlog: ", "Memory and log: ", "Commit time by table age", "a sync of that disk took"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing", want)
		}
	}
}

func TestSameResultsGiveTheSamePage(t *testing.T) {
	once, again := draw(t, results(t)), draw(t, results(t))
	if once != again {
		t.Error("two pages differ")
	}
}

// What a result says stays text.
func TestTextIsEscaped(t *testing.T) {
	all := results(t)
	const evil = `"><script>alert(1)</script>`
	for _, r := range all {
		r.Scenario, r.Machine.CPU, r.Notes, r.Server.Flags = evil, evil, []string{evil}, []string{evil}
		for i := range r.Steps {
			r.Steps[i].Name = evil
			for j := range r.Steps[i].Series {
				r.Steps[i].Series[j].Phase = evil
			}
		}
	}
	if text := draw(t, all); strings.Contains(text, "<script") {
		t.Error("a result brought a script into the page")
	}
}

// Results with nothing in them are drawn as that, and foreign ones are refused.
func TestEmptyAndForeignResults(t *testing.T) {
	empty := &load.Result{Version: load.ResultVersion, Scenario: "x", Steps: []load.Step{{Name: "y", Traffic: make([]load.Outcome, 1)}}}
	draw(t, []*load.Result{empty})
	for _, bad := range [][]*load.Result{nil, {{Version: load.ResultVersion + 1}}, {{Version: load.ResultVersion, Steps: make([]load.Step, 1)}}} {
		if err := Write(io.Discard, bad); err == nil {
			t.Errorf("drawn: %+v", bad)
		}
	}
}

func TestScales(t *testing.T) {
	f := func(a Axis, lo, hi float64, want string) {
		t.Helper()
		s := newScale(a, lo, hi, 0, 100)
		var ticks []string
		for _, tick := range s.ticks {
			ticks = append(ticks, tick.Text)
			if p := s.at(tick.At); p < -0.01 || p > 100.01 {
				t.Errorf("tick %s is at %v of 100", tick.Text, p)
			}
		}
		if got := strings.Join(ticks, " "); got != want {
			t.Errorf("%v to %v: %s, want %s", lo, hi, got, want)
		}
	}
	f(Axis{Zero: true}, 3, 97, "0 20 40 60 80 100")
	f(Axis{}, 0.91, 1.19, "0.9 1 1.1 1.2")
	f(Axis{Tight: true}, 0, 10.5, "0 5 10")
	f(Axis{Zero: true}, 5, 1_430_000, "0 500 k 1 M 1.5 M")
	f(Axis{Log: true, Write: milliseconds}, 0.3, 4500, "100 µs 1 ms 10 ms 100 ms 1 s 10 s")
	f(Axis{Log: true}, 10, 10, "10 100")
	f(Axis{Zero: true}, 0, 0, "0 0.2 0.4 0.6 0.8 1")
}

func TestNumbers(t *testing.T) {
	f := func(v float64, want string) {
		t.Helper()
		if got := number(v); got != want {
			t.Errorf("%v is %q, want %q", v, got, want)
		}
	}
	f(0, "0")
	f(0.036, "0.036")
	f(0.24417, "0.24")
	f(1.4754, "1.48")
	f(60, "60")
	f(99.96, "100")
	f(999.6, "1 k")
	f(511_451, "511 k")
	f(1_500_000, "1.5 M")
	f(-2500, "−2.5 k")
}

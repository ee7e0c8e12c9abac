package maintain

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"firn/commitlib"
	"firn/commitlib/catalog"
)

// scripted is a task that does what the test says.
type scripted struct {
	run func(id catalog.Ident) (*Report, error)
}

func (s scripted) Name() string { return "scripted" }

func (s scripted) Run(_ context.Context, id catalog.Ident, opts Options) (Outcome, error) {
	return s.run(id)
}

func tables(names ...string) func(context.Context) ([]catalog.Ident, error) {
	return func(context.Context) (ids []catalog.Ident, err error) {
		for _, n := range names {
			ids = append(ids, catalog.Ident{Namespace: "default", Name: n})
		}
		return ids, nil
	}
}

// Rounds come again and again until they are told to end; a table that has nothing to do is asked more rarely.
func TestRounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ran := map[string]int{}
		r := NewRounds(tables("busy", "idle", "failing"), slog.New(slog.DiscardHandler), scripted{func(id catalog.Ident) (*Report, error) {
			ran[id.Name]++
			report := newReport(id.String(), false, time.Now())
			switch id.Name {
			case "busy":
				tally(report.Removed, "x", 7)
			case "failing":
				report.Error = "no"
				return report, errors.New("no")
			}
			return report, nil
		}})
		r.Every = time.Minute
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Minute)
		defer cancel()
		r.Run(ctx)
		if ran["busy"] < 70 || ran["busy"] > 140 || ran["failing"] != ran["busy"] || ran["idle"] > ran["busy"]/4 || ran["idle"] < 10 {
			t.Errorf("in 100 minutes: %v", ran)
		}
		want := Counters{Runs: uint64(ran["busy"] + ran["idle"] + ran["failing"]), Errors: uint64(ran["failing"]), Removed: uint64(ran["busy"]), RemovedBytes: uint64(7 * ran["busy"])}
		if got := r.Counters(); got != want {
			t.Errorf("counted %+v, want %+v", got, want)
		}
	})
}

// A round that is told to end does so at the table that it is at, and a held table is left alone.
func TestRoundsEndAndHold(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var ran []string
	var log bytes.Buffer
	r := NewRounds(tables("a", "b", "c"), slog.New(slog.NewTextHandler(&log, nil)), scripted{func(id catalog.Ident) (*Report, error) {
		ran = append(ran, id.Name)
		if id.Name == "b" {
			cancel()
		}
		return newReport(id.String(), false, time.Now()), nil
	}})
	if err := r.Once(ctx, Options{}, func(catalog.Ident, []Result) {}); !errors.Is(err, context.Canceled) || !slices.Equal(ran, []string{"a", "b"}) {
		t.Errorf("ran %v, %v", ran, err)
	}
	ran = nil
	r.Held = func(id catalog.Ident) string {
		return strings.Repeat("its commits stall", min(1, strings.Count(id.Name, "c")))
	}
	var told []string
	err := r.Once(t.Context(), Options{}, func(id catalog.Ident, results []Result) {
		told = append(told, fmt.Sprintf("%s %q", id.Name, results[0].Outcome.(*Report).Stopped))
	})
	if want := []string{`a ""`, `b ""`, `c "its commits stall"`}; err != nil || !slices.Equal(told, want) || slices.Contains(ran, "c") {
		t.Errorf("told %v, %v; ran %v", told, err, ran)
	}
	if log.Len() > 0 {
		t.Errorf("rounds that did nothing logged %s", log.String())
	}
}

// The sweep is a task: what it removes is counted and logged in one line.
func TestSweepAsATask(t *testing.T) {
	w := newWorld(t)
	log := w.log()
	w.append(w.committer(), log, 5)
	w.put(fmt.Sprintf("%sdata/%s-1-5-0-r1.parquet", w.root, log))
	var out bytes.Buffer
	r := NewRounds(tables(w.id.Name), slog.New(slog.NewTextHandler(&out, nil)), w.sweeper())
	opts := Options{Scope: Whole}
	w.must(r.Once(context.Background(), opts, func(catalog.Ident, []Result) {}))
	w.pass(commitlib.StagedGrace + time.Minute)
	dry := Options{Scope: Whole, DryRun: true}
	w.must(r.Once(context.Background(), dry, func(catalog.Ident, []Result) {}))
	if !strings.Contains(out.String(), "removed=1") || !strings.Contains(out.String(), "dry_run=true") || r.Counters().Removed != 0 {
		t.Errorf("a dry run logged\n%s", out.String())
	}
	out.Reset()
	w.must(r.Once(context.Background(), opts, func(catalog.Ident, []Result) {}))
	if got := r.Counters(); got != (Counters{Runs: 3, Removed: 1, RemovedBytes: 4}) {
		t.Errorf("counted %+v", got)
	}
	if lines := strings.Count(out.String(), "\n"); lines != 1 || !strings.Contains(out.String(), "sweep of a table") || !strings.Contains(out.String(), "removed=1") || strings.Contains(out.String(), "dry_run") {
		t.Errorf("logged\n%s", out.String())
	}
}

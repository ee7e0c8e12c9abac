package goals

import (
	"strings"
	"testing"

	"firn/perf/load"
)

// made are results in which every goal is just met.
func made() map[string][]*load.Result {
	traffic := func(f func(o *load.Outcome)) []load.Outcome {
		o := make([]load.Outcome, 1)
		f(&o[0])
		return o
	}
	none := traffic(func(*load.Outcome) {})
	series := func(backlogs ...int64) (all []load.Sample) {
		for i, b := range backlogs {
			all = append(all, load.Sample{Second: float64(i), Phase: "load", Backlog: b, Commits: int64(20 * i)})
		}
		return append(all, load.Sample{Second: 100, Phase: "drain"})
	}
	of := func(steps ...load.Step) []*load.Result { return []*load.Result{{Steps: steps}} }
	slow := load.Step{AckedPerSecond: 1_050_000, ServerMicros: 0.6, Traffic: traffic(func(o *load.Outcome) { o.P99Ms = 100 })}
	best := load.Step{AckedPerSecond: 1_500_000, ServerMicros: 0.5, Traffic: none}
	return map[string][]*load.Result{
		"acks": of(slow, best, best, slow, load.Step{AckedPerSecond: 2e6, Traffic: none}),
		"end-to-end": of(load.Step{CommittedPerSecond: 1e6, ServerMicrosAll: 1, PeakMemory: 400e6, Traffic: none,
			Series: series(5, 5, 5, 100, 100, 100, 110, 110, 110)}),
		"payloads": of(load.Step{}, load.Step{PerServerCore: 100e6}),
		"single":   of(load.Step{RequestsASecond: 40_000}),
		"idle":     of(load.Step{Fsync: &load.Fsync{P50Ms: 1}, Traffic: traffic(func(o *load.Outcome) { o.P50Ms = 1.2 })}),
		"backpressure": of(load.Step{AckedPerSecond: 100}, load.Step{AckedPerSecond: 90, Traffic: none},
			load.Step{Seconds: 10, Series: []load.Sample{{Second: 0.5, Refused: 7}, {Second: 1, Refused: 9}, {Second: 1.5, Refused: 9}}}),
		"many-tables": of(load.Step{PeakMemory: 400e6, Series: series(1, 1, 1)}),
	}
}

func verdicts(t *testing.T, results map[string][]*load.Result) (met, missed int) {
	t.Helper()
	var b strings.Builder
	n, err := Print(&b, results)
	if err != nil {
		t.Fatal(err)
	}
	met, missed = strings.Count(b.String(), "\nmet "), strings.Count(b.String(), "\nMISSED ")
	if n != missed {
		t.Errorf("%d missed, %d said so:\n%s", n, missed, b.String())
	}
	return met, missed
}

// What is just met is met, and each figure that gets a little worse is missed, alone.
func TestVerdicts(t *testing.T) {
	if met, missed := verdicts(t, made()); met != len(All) || missed != 0 {
		t.Fatalf("%d met, %d missed of %d", met, missed, len(All))
	}
	f := func(want int, worsen func(r map[string][]*load.Result)) {
		t.Helper()
		r := made()
		worsen(r)
		if met, missed := verdicts(t, r); missed != want || met != len(All)-want {
			t.Errorf("%d met, %d missed, want %d", met, missed, want)
		}
	}
	f(1, func(r map[string][]*load.Result) { r["acks"][0].Steps[0].AckedPerSecond *= 0.99 })
	f(1, func(r map[string][]*load.Result) { r["acks"][0].Steps[3].Traffic[0].P99Ms = 101 })
	f(1, func(r map[string][]*load.Result) { r["acks"][0].Steps[2].ServerMicros = 0.61 })
	f(1, func(r map[string][]*load.Result) { r["acks"][0].Steps[4].AckedPerSecond *= 0.99 })
	f(1, func(r map[string][]*load.Result) { r["end-to-end"][0].Steps[0].Series[8].Backlog = 120 })
	f(2, func(r map[string][]*load.Result) {
		r["end-to-end"][0].Steps[0].CommittedPerSecond--
		r["end-to-end"][0].Steps[0].PeakMemory++
	})
	f(1, func(r map[string][]*load.Result) { r["idle"][0].Steps[0].Fsync.P50Ms = 0.9 })
	f(1, func(r map[string][]*load.Result) { r["idle"][0].Steps[0].Fsync = nil })
	f(2, func(r map[string][]*load.Result) {
		r["backpressure"][0].Steps[1].AckedPerSecond = 89
		r["backpressure"][0].Steps[1].Traffic[0].NoRetryAfter = 1
	})
	f(1, func(r map[string][]*load.Result) { r["backpressure"][0].Steps[2].Series[2].Refused = 10 })
	f(1, func(r map[string][]*load.Result) { r["many-tables"][0].Steps[0].Series[2].Commits = 41 })
}

// Of several runs the median counts.
func TestMedianCounts(t *testing.T) {
	r := made()
	for _, rate := range []float64{1, 50_000} {
		r["single"] = append(r["single"], &load.Result{Steps: []load.Step{{RequestsASecond: rate}}})
	}
	if _, missed := verdicts(t, r); missed != 0 {
		t.Error("one slow run of three decided")
	}
}

// Figures of a busy machine are said to be that.
func TestBusyMachineIsTold(t *testing.T) {
	r := made()
	tell := func() bool {
		var b strings.Builder
		if _, err := Print(&b, r); err != nil {
			t.Fatal(err)
		}
		return strings.Contains(b.String(), "not quiet")
	}
	if tell() {
		t.Error("a quiet machine is called busy")
	}
	if r["idle"][0].Steps[0].OtherCores = 1; !tell() {
		t.Error("a busy machine is not told of")
	}
}

// Each goal is of a scenario that there is.
func TestScenariosExist(t *testing.T) {
	for _, name := range scenarios() {
		if _, err := load.Find(name); err != nil {
			t.Error(err)
		}
	}
}

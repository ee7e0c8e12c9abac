package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

// checks asks the daemon's surroundings whether they are there: each check at most once in checksAge, however often
// readiness is asked for, and each bounded by checkTimeout.
type checks struct {
	mu      sync.Mutex // held while checking: who comes meanwhile wants the same answer
	at      time.Time
	reasons []reason
	failing map[string]bool // the names that reasons had when they were last logged
	answers []chan error    // of checks that have not answered yet, one each at most; nil: none is under way
	well    []time.Time     // when each check last said that all is well
}

const (
	checksAge    = time.Second
	checkTimeout = 2 * time.Second // below the time-outs that balancers and kubelets commonly use for a probe

	// maxWarnings bounds a reply that would otherwise grow with the number of stopped tables.
	maxWarnings = 20
)

// reason is one thing that stands in the way.
type reason struct {
	Name    string `json:"name"`
	Message string `json:"message"`
}

// getLive says that the process serves requests at all; it looks at nothing else, so that a restart is
// never the answer to a store that is away.
func (a *API) getLive(w http.ResponseWriter, _ *http.Request) error {
	return reply(w, http.StatusOK, map[string]string{"status": "live"})
}

// getReady says whether events can be taken and will get into their tables. A stopped table is a
// warning: it costs its own senders only.
func (a *API) getReady(w http.ResponseWriter, r *http.Request) error {
	out := struct {
		Status   string   `json:"status"` // ready, degraded (ready, but look at the warnings) or unready
		Reasons  []reason `json:"reasons"`
		Warnings []string `json:"warnings"`
	}{"ready", a.reasons(r.Context()), a.Shipper.Warnings()}
	if n := len(out.Warnings); n > maxWarnings {
		out.Warnings = append(out.Warnings[:maxWarnings:maxWarnings], "and more: GET /tables/{table}/watermark shows each")
	}
	if out.Warnings == nil {
		out.Warnings = []string{}
	}
	status := http.StatusOK
	switch {
	case len(out.Reasons) > 0:
		out.Status, status = "unready", http.StatusServiceUnavailable
	case len(out.Warnings) > 0:
		out.Status = "degraded"
	}
	return reply(w, status, out)
}

// Unready reports whether /health/ready answers 503.
func (a *API) Unready(ctx context.Context) bool { return len(a.reasons(ctx)) > 0 }

// reasons are what stands in the way of taking events and getting them into their tables.
func (a *API) reasons(ctx context.Context) []reason {
	all := []reason{}
	add := func(name, message string) { all = append(all, reason{name, message}) }
	if a.closing.Load() {
		add("shutting_down", "the daemon is stopping")
	}
	if a.cfg.Drain {
		add("draining", "the daemon empties its log and takes no events")
	}
	if err := a.Log.Refused(); err != nil {
		add(faultOf(err).code, err.Error())
	}
	for _, message := range a.Shipper.Ready() {
		add("shipping", message)
	}
	return append(all, a.check(ctx)...)
}

// check runs the checks side by side, or returns what they said a moment ago.
func (a *API) check(ctx context.Context) []reason {
	c := &a.checks
	c.mu.Lock()
	defer c.mu.Unlock()
	now := a.Now()
	if !c.at.IsZero() && now.Sub(c.at) < checksAge {
		return c.reasons
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkTimeout)
	defer cancel()
	if c.answers == nil {
		c.answers, c.well = make([]chan error, len(a.Checks)), make([]time.Time, len(a.Checks))
	}
	holds := func(i int) bool { return now.Sub(c.well[i]) < a.Checks[i].Every }
	for i, check := range a.Checks {
		if c.answers[i] == nil && !holds(i) { // else the last one still hangs: another would hang beside it
			answer := make(chan error, 1)
			c.answers[i] = answer
			go func() { answer <- check.Check(ctx) }()
		}
	}
	c.reasons = nil
	for i, check := range a.Checks {
		if holds(i) {
			continue
		}
		var err error
		select {
		case err = <-c.answers[i]:
			c.answers[i] = nil
			if err == nil {
				c.well[i] = now
			}
		case <-ctx.Done():
			err = fmt.Errorf("no answer within %v", checkTimeout)
		}
		if err != nil {
			c.reasons = append(c.reasons, reason{check.Name, err.Error()})
		}
	}
	c.at = a.Now()
	a.logChanges()
	return c.reasons
}

// logChanges logs which checks began to fail and which are well again, once each. The caller holds the checks' mutex.
func (a *API) logChanges() {
	c, failing := &a.checks, map[string]bool{}
	for _, r := range c.reasons {
		if failing[r.Name] = true; !c.failing[r.Name] {
			a.Logger.Warn("not ready", "check", r.Name, "error", r.Message)
		}
	}
	for name := range c.failing {
		if !failing[name] {
			a.Logger.Info("ready again", "check", name)
		}
	}
	c.failing = failing
}

func (a *API) getVersion(w http.ResponseWriter, _ *http.Request) error {
	out := map[string]string{"version": a.Version, "go": runtime.Version()}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				out["revision"] = s.Value
			}
		}
	}
	return reply(w, http.StatusOK, out)
}

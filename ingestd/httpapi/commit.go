package httpapi

import (
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/google/uuid"

	"firn/ingestd/eventlog"
	"firn/ingestd/registry"
	"firn/ingestd/ship"
)

// pollAfter is what a producer is told who asks how a commit stands: commits take a second or two once they are due.
const pollAfter = 2 * time.Second

// commitReply says how a commit stands that was asked for.
type commitReply struct {
	Table    string `json:"table"`
	Status   string `json:"status"`      // committed, or pending
	Snapshot *int64 `json:"snapshot_id"` // one that holds what was asked for; null: pending, or the table never had an event

	// While it is pending:
	Watch     string  `json:"status_url,omitempty"` // GET says how it stands then, here and after a restart
	Backlog   uint64  `json:"backlog_events,omitempty"`
	Lag       float64 `json:"lag_seconds,omitempty"`
	LastError string  `json:"last_error,omitempty"` // of shipping
}

// postCommit cuts what the table has now and waits for the commit, as long as a balancer does: then it names the
// address at which the rest can be watched.
func (a *API) postCommit(w http.ResponseWriter, r *http.Request) error {
	if err := plain(r); err != nil {
		return err
	}
	t, err := a.table(r)
	if err != nil {
		return err
	}
	target, err := a.Shipper.Demand(t.Name)
	if err != nil {
		return err
	}
	ctx, cancel := a.waiting(r.Context())
	defer cancel()
	snapshot, err := a.Shipper.Await(ctx, target)
	if err != nil {
		if ctx.Err() != nil && r.Context().Err() == nil && target.Seq > 0 {
			return a.pending(w, target)
		}
		return err
	}
	return committed(w, t.Name, snapshot)
}

// getCommit says how a commit stands that postCommit answered with 202. The address has all that there is to know, so
// that nothing is kept for it and a restart forgets nothing.
func (a *API) getCommit(w http.ResponseWriter, r *http.Request) error {
	t, err := a.table(r)
	if err != nil {
		return err
	}
	target, err := targetOf(r, t)
	if err != nil {
		return err
	}
	ctx, cancel := a.waiting(r.Context())
	defer cancel()
	snapshot, done, err := a.Shipper.Reached(ctx, target)
	if err != nil {
		return err
	}
	if !done {
		return a.pending(w, target)
	}
	return committed(w, t.Name, snapshot)
}

func committed(w http.ResponseWriter, table string, snapshot int64) error {
	out := commitReply{Table: table, Status: "committed"}
	if snapshot != 0 {
		out.Snapshot = &snapshot
	}
	return reply(w, http.StatusOK, out)
}

func (a *API) pending(w http.ResponseWriter, target ship.Target) error {
	st := a.Shipper.Status(target.Table)
	out := commitReply{Table: target.Table, Status: "pending", Watch: watchURL(target), Backlog: st.Backlog, Lag: st.Lag.Seconds()}
	for _, ts := range st.Tracks {
		if ts.LastError != "" {
			out.LastError = ts.LastError
		}
	}
	w.Header().Set("Location", out.Watch)
	w.Header().Set("Retry-After", strconv.Itoa(int(pollAfter/time.Second)))
	return reply(w, http.StatusAccepted, out)
}

// watchURL is the address at which a target is watched.
func watchURL(tg ship.Target) string {
	q := url.Values{"table_uuid": {tg.TableUUID.String()}, "log": {tg.Log.String()}, "sequence": {strconv.FormatUint(uint64(tg.Seq), 10)}}
	return "/tables/" + tg.Table + "/commit?" + q.Encode()
}

// targetOf is watchURL's inverse.
func targetOf(r *http.Request, t *registry.Table) (ship.Target, error) {
	q, err := query(r, "table_uuid", "log", "sequence")
	if err != nil {
		return ship.Target{}, err
	}
	tg := ship.Target{Table: t.Name}
	for name, into := range map[string]*uuid.UUID{"table_uuid": &tg.TableUUID, "log": &tg.Log} {
		id, err := uuid.Parse(q.Get(name))
		if err != nil || len(q.Get(name)) != 36 {
			return tg, newFault("invalid_parameter", "use the status_url of POST /tables/{table}/commit as it is", "%s is %q, which is no UUID", name, clip(q.Get(name)))
		}
		*into = id
	}
	seq, err := number(q, "sequence", 1, math.MaxInt64, 0)
	if err == nil && seq == 0 {
		err = newFault("invalid_parameter", "use the status_url of POST /tables/{table}/commit as it is", "sequence is missing")
	}
	tg.Seq = eventlog.Seq(seq)
	return tg, err
}

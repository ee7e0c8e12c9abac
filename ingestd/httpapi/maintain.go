package httpapi

import (
	"context"
	"net/http"
	"time"

	"firn/commitlib/maintain"
)

// Maintain does every task of maintenance to one table, and returns what each reports.
type Maintain func(ctx context.Context, table string, opts maintain.Options) []maintain.Result

// maintainAgain is when to ask again where maintenance was under way.
const maintainAgain = 10 * time.Second

// maintainReply is what a run of maintenance did, or would do.
type maintainReply struct {
	Table  string            `json:"table"`
	DryRun bool              `json:"dry_run"`
	Tasks  []maintain.Result `json:"tasks"`
}

// postMaintain maintains a table now, for as long as a reply may take; what is left then the next run does. It looks at
// the whole of the table's folder. What a task ran into is part of its report.
func (a *API) postMaintain(w http.ResponseWriter, r *http.Request) error {
	q, err := query(r, "dry_run", "force")
	if err != nil {
		return err
	}
	opts := maintain.Options{Scope: maintain.Whole}
	for name, into := range map[string]*bool{"dry_run": &opts.DryRun, "force": &opts.Force} {
		switch q.Get(name) {
		case "", "false":
		case "true":
			*into = true
		default:
			return newFault("invalid_parameter", "give true or false", "%s is %q", name, clip(q.Get(name)))
		}
	}
	t, err := a.table(r)
	if err != nil {
		return err
	}
	if a.Maintain == nil {
		return newFault("unknown_route", "ask the process that maintains tables", "this daemon maintains no tables")
	}
	ctx, cancel := a.waiting(r.Context())
	defer cancel()
	results := a.Maintain(ctx, t.Name, opts)
	if len(results) == 0 {
		f := newFault("busy", "retry after Retry-After", "maintenance is under way, and takes one table at a time")
		f.retryAfter = maintainAgain
		return f
	}
	return reply(w, http.StatusOK, maintainReply{t.Name, opts.DryRun, results})
}

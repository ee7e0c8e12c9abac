// Package httpapi is ingestd's HTTP interface: routes, admission, and the one table that gives each kind of error its
// status and stable code. API.md describes it for producers; a test holds code and description together.
//
// Invariants:
//   - A reply of 200 to a POST of events follows the log's synced append, and means that all of the request is durable;
//     any other reply means that the request as a whole was refused, except a 5xx or a lost connection after the append
//     began, whose outcome the producer does not know (idempotency keys make its retry safe).
//   - Memory is bounded by configuration: what request bodies hold, compressed and expanded, is taken from one budget
//     as their bytes arrive, never as they are announced; beyond it requests are refused with 503, not queued. A request
//     that waits for its sync holds its block only, in the same budget. What arrives with a request's head lies in the
//     connection's read buffer of 16 KiB, and their number is bounded.
//   - Refusing is cheaper than taking, or overload would leave nothing for what is taken: without room in the log a
//     request is refused before its body is read, let alone decoded (store).
//   - A slow, lying or malformed request costs its own connection only.
//   - Where a request ends is decided by net/http's parser alone, also where its server is spared (direct).
//
// All of API is safe for concurrent use.
package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"runtime"
	"sort"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"firn/ingestd/event"
	"firn/ingestd/eventlog"
	"firn/ingestd/registry"
	"firn/ingestd/ship"
)

// Log is what the interface needs of the event log.
type Log interface {
	Append(ctx context.Context, a eventlog.Append) (eventlog.Appended, error)
	Refuses(table uuid.UUID, bytes int64, keyed bool) error
	Reserve(table uuid.UUID, bytes int64, keyed bool) (eventlog.Room, error)
	GiveBack(r eventlog.Room)
	ReadPage(ctx context.Context, q eventlog.Query) (eventlog.Page, error)
	Tracks() []eventlog.TrackInfo
	Refused() error
}

// Registry is what the interface needs of the known tables.
type Registry interface {
	Get(name string) (*registry.Table, bool)
	Ensure(ctx context.Context, name string) (*registry.Table, error)
	Find(ctx context.Context, name string) (*registry.Table, error)
	Put(ctx context.Context, name string, change registry.Change) (t *registry.Table, created bool, err error)
	Delete(ctx context.Context, name string) error
	List() []*registry.Table
	Defaults() registry.Settings
}

// Shipper is what the interface needs of shipping.
type Shipper interface {
	Demand(table string) (ship.Target, error)
	Await(ctx context.Context, t ship.Target) (snapshotID int64, err error)
	Reached(ctx context.Context, t ship.Target) (snapshotID int64, done bool, err error)
	Snapshot(ctx context.Context, t eventlog.Table, log uuid.UUID, seq eventlog.Seq) (int64, error)
	Wait(ctx context.Context, t eventlog.Track, seq eventlog.Seq, level ship.Level) error
	Status(table string) ship.TableStatus
	Statuses() []ship.TableStatus
	Resume(ctx context.Context, table string) error
	Discard(table string, log uuid.UUID, events uint64) error
	Ready() []string
	Warnings() []string
}

// Check is one condition of readiness: nil is well.
type Check struct {
	Name  string // stable: an operator's alarm may match it
	Check func(ctx context.Context) error
	Every time.Duration // how long an answer that all is well holds; 0: checksAge
}

// Deps are the parts that the interface stands on.
type Deps struct {
	Log      Log
	Registry Registry
	Shipper  Shipper
	Maintain Maintain // nil: there is none here
	Checks   []Check  // besides what the log says of itself: the object store, the catalog
	Metrics  *Metrics
	Logger   *slog.Logger
	Version  string
	Now      func() time.Time
}

// Config bounds what clients may cost.
type Config struct {
	Limits event.Limits // of one request's events

	// InFlightBytes bounds what all request bodies under way hold, compressed and expanded, and what is left of them
	// while they wait for a sync. Those that are being decoded, about one a CPU, take about twice as much again.
	InFlightBytes int64

	// BodyTimeout bounds how long a body may take to arrive, and BodyIdle the pause between two pieces of it: 408.
	BodyTimeout time.Duration
	BodyIdle    time.Duration

	// ReplyWithin bounds how long a request waits for a commit: POST /tables/{table}/commit, and a producer that asked
	// for more than the log's ack. What stands before ingestd must wait longer.
	ReplyWithin time.Duration

	// MaxReadEvents and MaxReadBytes bound one page of GET /tables/{table}; MaxReads how many are
	// made at once. A client that takes longer than PageTimeout to read its page is cut off, since it
	// holds the page and one of the reads.
	MaxReadEvents int
	MaxReadBytes  int
	MaxReads      int
	PageTimeout   time.Duration

	// MaxConns bounds open connections; what comes beyond it is told 503 and closed. A connection costs about 20 KiB.
	MaxConns int

	// Drain refuses events and table changes: the daemon is emptying its log before it exits.
	Drain bool
}

// Default is the configuration for the reference host: 2 vCPU and 1 GB of memory.
func Default() Config {
	return Config{
		Limits:        event.DefaultLimits(),
		InFlightBytes: 32 << 20,    // the largest body twice: compressed and expanded
		BodyTimeout:   time.Minute, // 16 MiB at 2.2 Mbit/s
		BodyIdle:      10 * time.Second,
		ReplyWithin:   25 * time.Second, // API Gateway waits 29 s, common balancers 60 s
		MaxReadEvents: 10_000,
		MaxReadBytes:  4 << 20,
		MaxReads:      2, // a page of large events takes several times MaxReadBytes while it is made
		PageTimeout:   30 * time.Second,
		MaxConns:      1024,
	}
}

// Validate reports every violation at once.
func (c Config) Validate() error {
	errs := []error{c.Limits.Validate()}
	need := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("http: "+format, args...))
		}
	}
	need(c.InFlightBytes >= 2*int64(c.Limits.MaxBodyBytes), "the budget of %d bytes for bodies in flight is below two of the largest (%d each): such a body, compressed, could never be admitted", c.InFlightBytes, c.Limits.MaxBodyBytes)
	need(c.BodyTimeout > 0 && c.BodyIdle > 0, "a body needs time to arrive: body timeout %v, idle %v", c.BodyTimeout, c.BodyIdle)
	need(c.ReplyWithin > 0, "a commit needs time: %v", c.ReplyWithin)
	need(c.MaxReadEvents > 0 && c.MaxReadBytes > 0 && c.MaxReads > 0 && c.PageTimeout > 0, "bounds of reading must be above 0: %d events, %d bytes, %d at once, %v", c.MaxReadEvents, c.MaxReadBytes, c.MaxReads, c.PageTimeout)
	need(c.MaxConns > 0, "at least one connection must be allowed: %d", c.MaxConns)
	return errors.Join(errs...)
}

// API serves the interface.
type API struct {
	Deps
	cfg       Config
	budget    budget
	firsts    budget // of that, what first events may hold while the catalog is asked about their tables
	expanders chan *expander
	reads     chan struct{} // one token a page under way
	checks    checks
	stops     stops
	closing   atomic.Bool
	stopping  context.Context // ends with errStopping when Shutdown begins
	stop      context.CancelCauseFunc
	handler   http.Handler

	plainEvent, plainBulk http.Handler // the routes of events, for requests that are served directly
}

// New makes the interface. The parts must outlive it.
func New(d Deps, c Config) (*API, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if d.Log == nil || d.Registry == nil || d.Shipper == nil || d.Metrics == nil || d.Logger == nil || d.Now == nil {
		return nil, errors.New("http: a part is missing: give log, registry, shipper, metrics, logger and clock")
	}
	a := &API{Deps: d, cfg: c, reads: make(chan struct{}, c.MaxReads)}
	a.stopping, a.stop = context.WithCancelCause(context.Background())
	a.budget.limit = c.InFlightBytes
	a.firsts.limit = c.InFlightBytes/2 + 1 // the largest body and the byte beyond; tables that need no catalog keep the rest while it hangs
	a.expanders = make(chan *expander, runtime.GOMAXPROCS(0))
	for range cap(a.expanders) {
		a.expanders <- newExpander(c.Limits.MaxBodyBytes)
	}
	d.Metrics.watch(&a.budget)
	a.handler = a.routes()
	return a, nil
}

// Handler is the interface as an http.Handler; Serve runs it with its time-outs.
func (a *API) Handler() http.Handler { return a.handler }

// handler answers one request. What it returns is told to the client as the error; nil means that it has replied.
type handler func(w http.ResponseWriter, r *http.Request) error

// methods are a path's handlers by method.
type methods map[string]handler

func (a *API) paths() map[string]methods {
	return map[string]methods{
		"/tables":                   {"GET": a.getTables},
		"/tables/{table}":           {"POST": a.postEvent, "GET": a.getEvents, "PUT": a.putTable, "DELETE": a.deleteTable},
		"/tables/{table}/bulk":      {"POST": a.postBulk},
		"/tables/{table}/settings":  {"GET": a.getSettings},
		"/tables/{table}/watermark": {"GET": a.getWatermark},
		"/tables/{table}/commit":    {"POST": a.postCommit, "GET": a.getCommit},
		"/tables/{table}/resume":    {"POST": a.postResume},
		"/tables/{table}/discard":   {"POST": a.postDiscard},
		"/tables/{table}/maintain":  {"POST": a.postMaintain},
		"/health/live":              {"GET": a.getLive},
		"/health/ready":             {"GET": a.getReady},
		"/metrics":                  {"GET": a.getMetrics},
		"/version":                  {"GET": a.getVersion},
	}
}

func (a *API) routes() http.Handler {
	mux := http.NewServeMux()
	for p, m := range a.paths() {
		h := a.route(p, m)
		mux.Handle(p, h)
		switch p {
		case "/tables/{table}":
			a.plainEvent = h
		case "/tables/{table}/bulk":
			a.plainBulk = h
		}
	}
	none := a.route("other", nil)
	mux.Handle("/", none)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The mux would redirect such a path; a producer's POST must not wander.
		if p := r.URL.Path; p == "" || path.Clean(p) != p {
			none.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// route serves one path: it picks the method's handler, reports its error, and counts the request.
func (a *API) route(name string, m methods) http.Handler {
	var allow []string
	for method := range m {
		allow = append(allow, method)
		if method == "GET" {
			allow = append(allow, "HEAD")
		}
	}
	sort.Strings(allow)
	observe := a.Metrics.route(name)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := a.Now()
		sw := &statusWriter{ResponseWriter: w}
		defer func() { observe(sw.status, a.Now().Sub(start)) }()
		h, ok := m[r.Method]
		if !ok && r.Method == "HEAD" { // net/http drops the body
			h, ok = m["GET"]
		}
		if r.ContentLength != 0 {
			// net/http reads what a handler leaves of a body, to keep the connection usable: that is bounded from here
			// on. Handlers that want the body set their own deadlines.
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(lingerTimeout))
		}
		var err error
		switch {
		case ok:
			err = h(sw, r)
		case m == nil:
			hint := "see ingestd/httpapi/API.md for the routes"
			if strings.HasPrefix(r.URL.Path, "/health") {
				hint = "ask GET /health/live or GET /health/ready"
			}
			err = newFault("unknown_route", hint, "there is nothing at %s", clip(r.URL.Path))
		default:
			sw.Header().Set("Allow", strings.Join(allow, ", "))
			err = newFault("method_not_allowed", "allowed are "+strings.Join(allow, ", "), "%s does not take %s", name, clip(r.Method))
		}
		if err != nil {
			a.refuse(sw, r, err)
		}
	})
}

// statusWriter notes the status that was sent.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

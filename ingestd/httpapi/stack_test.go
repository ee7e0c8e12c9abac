package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"firn/commitlib/catalog/twin"
	"firn/commitlib/objstore"
	"firn/ingestd/event"
	"firn/ingestd/eventlog"
	"firn/ingestd/kv"
	"firn/ingestd/registry"
	"firn/ingestd/ship"
)

// stack is the interface on a real listener, over a real log and registry; only shipping is a stand-in.
type stack struct {
	t        testing.TB
	url      string
	addr     string
	api      *API
	server   *Server
	log      *eventlog.Log
	registry *registry.Registry
	ship     *fakeShip
	prom     *prometheus.Registry
}

type options struct {
	store    kv.Store // nil: one in memory
	log      func(*eventlog.Config)
	config   func(*Config)
	registry func(*registry.Config)
	deps     func(*Deps)
}

func newStack(t testing.TB, o options) *stack {
	t.Helper()
	logs := eventlog.Default()
	logs.Schema = event.Schema
	if o.log != nil {
		o.log(&logs)
	}
	var store kv.Store = kv.NewMem()
	if o.store != nil {
		store = o.store
	}
	l, err := eventlog.Open(store, logs)
	if err != nil {
		t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	rc := registry.DefaultConfig()
	rc.Logger = quiet
	if o.registry != nil {
		o.registry(&rc)
	}
	reg, err := registry.Open(twin.New(twin.REST, objstore.NewMem("mem://warehouse")), l, rc)
	if err != nil {
		t.Fatal(err)
	}
	s := &stack{t: t, log: l, registry: reg, ship: &fakeShip{log: l}, prom: prometheus.NewRegistry()}
	c := Default()
	if o.config != nil {
		o.config(&c)
	}
	d := Deps{Log: l, Registry: reg, Shipper: s.ship, Metrics: NewMetrics(s.prom), Logger: quiet, Version: "v0", Now: time.Now}
	if o.deps != nil {
		o.deps(&d)
	}
	if s.api, err = New(d, c); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = listener.Addr().String()
	s.url = "http://" + s.addr
	s.server = NewServer(s.api)
	served := make(chan error, 1)
	go func() { served <- s.server.Serve(listener) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		http.DefaultClient.CloseIdleConnections()
		if err := s.server.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
		if held := s.api.budget.held.Load(); held != 0 {
			t.Errorf("%d bytes of the budget were never given back", held)
		}
		l.Close()
	})
	return s
}

// fakeShip commits nothing, or whatever the test says.
type fakeShip struct {
	log      *eventlog.Log
	mu       sync.Mutex
	statuses []ship.TableStatus
	ready    []string
	warnings []string
	commit   func(ctx context.Context, table string) (int64, error)
	wait     func(ctx context.Context, t eventlog.Track, seq eventlog.Seq, level ship.Level) error
	reached  func(tg ship.Target) (int64, bool, error)
	unknown  error // what Snapshot says
	resumed  []string
	discards []uint64
}

// Demand names the last event that a track has.
func (f *fakeShip) Demand(table string) (ship.Target, error) {
	tg := ship.Target{Table: table}
	for _, info := range f.log.Tracks() {
		if info.Table.Name == table {
			tg.TableUUID, tg.Log, tg.Seq = info.Table.UUID, info.Log, info.High
		}
	}
	return tg, nil
}

func (f *fakeShip) Await(ctx context.Context, tg ship.Target) (int64, error) {
	return f.commit(ctx, tg.Table)
}

func (f *fakeShip) Reached(_ context.Context, tg ship.Target) (int64, bool, error) {
	return f.reached(tg)
}

func (f *fakeShip) Snapshot(context.Context, eventlog.Table, uuid.UUID, eventlog.Seq) (int64, error) {
	return 77, f.unknown
}

func (f *fakeShip) Wait(ctx context.Context, t eventlog.Track, seq eventlog.Seq, level ship.Level) error {
	return f.wait(ctx, t, seq, level)
}

func (f *fakeShip) Status(table string) ship.TableStatus {
	for _, st := range f.Statuses() {
		if st.Table == table {
			return st
		}
	}
	out := ship.TableStatus{Table: table}
	for _, info := range f.log.Tracks() {
		if info.Table.Name == table {
			out.Backlog += uint64(info.High - info.Committed)
			out.Tracks = append(out.Tracks, ship.TrackStatus{Log: info.Log, TableUUID: info.Table.UUID, High: info.High, Committed: info.Committed, Backlog: uint64(info.High - info.Committed)})
		}
	}
	return out
}

func (f *fakeShip) Statuses() []ship.TableStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.statuses
}

func (f *fakeShip) Resume(_ context.Context, table string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.statuses) == 0 {
		return ship.ErrNotStopped
	}
	f.statuses, f.resumed = nil, append(f.resumed, table)
	return nil
}

func (f *fakeShip) Discard(_ string, _ uuid.UUID, events uint64) error {
	if events != 7 {
		return ship.ErrCountDiffers
	}
	f.discards = append(f.discards, events)
	return nil
}

func (f *fakeShip) Ready() []string    { return f.ready }
func (f *fakeShip) Warnings() []string { return f.warnings }

// answer is a reply as tests look at it.
type answer struct {
	status int
	header http.Header
	body   []byte

	Table      string `json:"table"`
	Log        string `json:"log"`
	First      uint64 `json:"first_sequence"`
	Last       uint64 `json:"last_sequence"`
	Accepted   int    `json:"accepted"`
	Duplicates int    `json:"duplicates"`

	Events []struct {
		Log       string  `json:"log"`
		Sequence  uint64  `json:"sequence"`
		Partition int32   `json:"partition"`
		Timestamp int64   `json:"timestamp_ms"`
		Ingest    int64   `json:"ingest_time_ms"`
		Key       *string `json:"idempotency_key"`
		Payload   *string `json:"payload"`
		Base64    []byte  `json:"payload_base64"`
	} `json:"events"`
	Cursor  string `json:"cursor"`
	More    bool   `json:"more"`
	Trimmed bool   `json:"trimmed"`

	Error struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Record  *int   `json:"record"`
		Byte    *int   `json:"byte"`
		Hint    string `json:"hint"`
	} `json:"error"`
}

// do sends a request; headers are "Name: value".
func (s *stack) do(method, path, body string, headers ...string) answer {
	s.t.Helper()
	req, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	return s.read(resp)
}

func (s *stack) read(resp *http.Response) answer {
	s.t.Helper()
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode, header: resp.Header}
	var err error
	if a.body, err = io.ReadAll(resp.Body); err != nil {
		s.t.Fatal(err)
	}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") && len(a.body) > 0 {
		if err := json.Unmarshal(a.body, &a); err != nil && !bytes.Contains(a.body, []byte(`"payload":{`)) {
			var wrongType *json.UnmarshalTypeError
			if !errors.As(err, &wrongType) {
				s.t.Fatalf("reply is not JSON: %v: %s", err, a.body)
			}
		}
	}
	return a
}

// want checks a refusal. at is the byte, -1 for none; record likewise.
func (s *stack) want(a answer, status int, code string, record, at int) {
	s.t.Helper()
	place := func(p *int) int {
		if p == nil {
			return -1
		}
		return *p
	}
	e := a.Error
	if a.status != status || e.Code != code || place(e.Record) != record || place(e.Byte) != at {
		s.t.Fatalf("got %d %s (record %d, byte %d): %s\nwant %d %s (record %d, byte %d)", a.status, e.Code, place(e.Record), place(e.Byte), a.body, status, code, record, at)
	}
	if e.Message == "" || e.Hint == "" {
		s.t.Fatalf("message or hint is missing: %s", a.body)
	}
}

func (s *stack) ok(a answer) answer {
	s.t.Helper()
	if a.status != http.StatusOK {
		s.t.Fatalf("got %d: %s", a.status, a.body)
	}
	return a
}

// stored counts the events in the log.
func (s *stack) stored() (n uint64) {
	for _, info := range s.log.Tracks() {
		n += uint64(info.High)
	}
	return n
}

const (
	asJSON   = "Content-Type: application/json"
	asNDJSON = "Content-Type: application/x-ndjson"
)

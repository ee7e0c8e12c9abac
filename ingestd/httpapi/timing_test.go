package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"firn/ingestd/eventlog"
	"firn/ingestd/registry"
	"firn/ingestd/ship"
)

// freeLog takes appends and does nothing.
type freeLog struct{ Log }

func (freeLog) Append(_ context.Context, a eventlog.Append) (eventlog.Appended, error) {
	return eventlog.Appended{First: 1, Last: eventlog.Seq(a.Batch.Len), Accepted: a.Batch.Len}, nil
}

func (freeLog) Refuses(uuid.UUID, int64, bool) error { return nil }

func (freeLog) Reserve(uuid.UUID, int64, bool) (eventlog.Room, error) { return eventlog.Room{}, nil }

func (freeLog) GiveBack(eventlog.Room) {}

// oneTable knows one table.
type oneTable struct {
	Registry
	table *registry.Table
}

func (r oneTable) Get(string) (*registry.Table, bool) { return r.table, true }

func (r oneTable) Ensure(context.Context, string) (*registry.Table, error) { return r.table, nil }

type idleShip struct{ Shipper }

func (idleShip) Statuses() []ship.TableStatus { return nil }

// nullWriter drops replies.
type nullWriter struct {
	header http.Header
	status int
}

// SetReadDeadline is what a connection has.
func (w *nullWriter) SetReadDeadline(time.Time) error { return nil }

func (w *nullWriter) Header() http.Header         { return w.header }
func (w *nullWriter) WriteHeader(status int)      { w.status = status }
func (w *nullWriter) Write(b []byte) (int, error) { return len(b), nil }

// benchPost measures what the interface itself costs: all but the connection and the log.
func benchPost(b *testing.B, path, contentType, body string) {
	b.Helper()
	t := &registry.Table{Name: "events", Settings: registry.DefaultSettings()}
	a, err := New(Deps{Log: freeLog{}, Registry: oneTable{table: t}, Shipper: idleShip{}, Metrics: NewMetrics(prometheus.NewRegistry()),
		Logger: slog.New(slog.DiscardHandler), Now: time.Now}, Default())
	if err != nil {
		b.Fatal(err)
	}
	w := &nullWriter{header: http.Header{}}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		r, err := http.NewRequest("POST", path, strings.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		r.Header.Set("Content-Type", contentType)
		clear(w.header)
		if a.handler.ServeHTTP(w, r); w.status != http.StatusOK {
			b.Fatal(w.status)
		}
	}
}

// BenchmarkBulk posts records of 82 bytes; allocations are those of a request, not of an event.
func BenchmarkBulk(b *testing.B) {
	for name, n := range map[string]int{"1": 1, "100": 100, "3000": 3000} {
		now := time.Now().UnixMilli()
		record := `{"payload":"0123456789abcdef01234567","partition":0,"timestamp_ms":` + strconv.FormatInt(now, 10) + `}`
		body := `{"records":[` + strings.Repeat(record+",", n-1) + record + `]}`
		b.Run(name, func(b *testing.B) { benchPost(b, "/tables/events/bulk", "application/json", body) })
	}
}

// BenchmarkSingle posts one event a request.
func BenchmarkSingle(b *testing.B) {
	benchPost(b, "/tables/events", "text/plain", strings.Repeat("x", 80))
}

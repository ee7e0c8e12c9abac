package httpapi

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"firn/ingestd/registry"
)

// freeServer is a server over parts that do nothing, and a connection of it as direct sees one whose client is a test.
func freeServer(tb testing.TB) *direct {
	tb.Helper()
	table := &registry.Table{Name: "events", Settings: registry.DefaultSettings()}
	a, err := New(Deps{Log: freeLog{}, Registry: oneTable{table: table}, Shipper: idleShip{}, Metrics: NewMetrics(prometheus.NewRegistry()),
		Logger: slog.New(slog.DiscardHandler), Now: time.Now}, Default())
	if err != nil {
		tb.Fatal(err)
	}
	c := &direct{Conn: nullConn{}, s: NewServer(a), buf: make([]byte, directBytes)}
	c.body.c, c.reply.c, c.reply.header = c, c, map[string][]string{}
	return c
}

// nullConn drops what is written.
type nullConn struct{ net.Conn }

func (nullConn) Write(b []byte) (int, error)      { return len(b), nil }
func (nullConn) SetWriteDeadline(time.Time) error { return nil }
func (nullConn) Read([]byte) (int, error)         { return 0, io.EOF }

// request answers one request that lies in the buffer.
func (c *direct) request(tb testing.TB, text string) {
	c.r, c.w = 0, copy(c.buf, text)
	n, err := c.next("")
	if err != nil {
		tb.Fatal(err)
	}
	h, err := c.plain.match(c.buf[:n], c.s)
	if err != nil {
		tb.Fatal(err)
	}
	c.r, c.body.left, c.plain.request.Body = n, c.plain.request.ContentLength, &c.body
	if err := c.answer(h); err != nil || c.reply.status != 200 {
		tb.Fatalf("%d: %v", c.reply.status, err)
	}
}

func bulkRequest(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,{"payload":{"id":%d,"session":"%016x","event":"click","p":"etaoin shrd"}}`, 700_000_000_000+i, uint64(i)*0x9e3779b97f4a7c15)
	}
	return post("/tables/events/bulk", `{"records":[`+b.String()[1:]+`]}`)
}

func TestAppendUUID(t *testing.T) {
	for range 20 {
		id := uuid.New()
		if got := string(appendUUID(nil, id)); got != id.String() {
			t.Fatalf("%s, want %s", got, id)
		}
	}
}

// BenchmarkDirect measures all of a request that is served directly but the kernel and the log.
func BenchmarkDirect(b *testing.B) {
	for _, n := range []int{1, 100} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			c, text := freeServer(b), bulkRequest(n)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				c.request(b, text)
			}
		})
	}
}

package httpapi

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"firn/ingestd/eventlog"
	"firn/ingestd/ship"
)

// pair is two stacks that are told the same: one serves plain requests directly, the other leaves all of them to
// net/http's server. A producer must not be able to tell which it talks to.
type pair struct {
	direct, plain *stack
	plainAddr     string // of plain's handler behind net/http's server
}

func newPair(t testing.TB) *pair {
	t.Helper()
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	o := options{
		config: func(c *Config) { c.Limits.MaxBodyBytes, c.Limits.MaxEventBytes = 1<<20, 1<<20 },
		deps:   func(d *Deps) { d.Now = func() time.Time { return now } },
	}
	p := &pair{direct: newStack(t, o), plain: newStack(t, o)}
	for _, s := range []*stack{p.direct, p.plain} {
		s.ship.wait = func(context.Context, eventlog.Track, eventlog.Seq, ship.Level) error { return nil }
		s.ship.commit = func(context.Context, string) (int64, error) { return 7, nil }
		// These clients end what they send before they read, which net/http takes for clients that left.
		h := s.api.handler
		s.api.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(w, r.WithContext(context.WithoutCancel(r.Context())))
		})
		s.ok(s.do("POST", "/tables/events", "makes the table"))
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	own := &p.direct.server.http
	server := &http.Server{Handler: p.plain.api.handler, ErrorLog: own.ErrorLog, MaxHeaderBytes: own.MaxHeaderBytes,
		ReadHeaderTimeout: own.ReadHeaderTimeout, IdleTimeout: own.IdleTimeout, WriteTimeout: own.WriteTimeout}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Close()
		<-served
	})
	p.plainAddr = l.Addr().String()
	return p
}

// said is one reply as a producer can tell it from another.
type said struct {
	status  int
	headers string // but for Date, which must be there in replies of handlers, and those that say how the connection goes on
	closes  bool
	body    string
}

// dates are in bodies too: talk does not know which reply is to a HEAD, and takes what follows it for its body.
var dates = regexp.MustCompile(`Date: [^\r\n]*`)

var uuids = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// talk sends text in pieces, ends its side, and returns all that is answered until the connection ends.
func talk(t *testing.T, addr, text string, piece int) []said {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	go func() {
		for rest := text; rest != ""; {
			n := min(cmp.Or(piece, len(rest)), len(rest))
			if _, err := io.WriteString(c, rest[:n]); err != nil {
				return
			}
			rest = rest[n:]
		}
		_ = c.(*net.TCPConn).CloseWrite()
	}()
	var all []said
	in := bufio.NewReader(c)
	for {
		if _, err := in.Peek(1); err != nil {
			var late net.Error
			if errors.As(err, &late) && late.Timeout() {
				t.Fatalf("%.200q: neither an answer nor the end after %d replies", text, len(all))
			}
			return all
		}
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("%.200q: reply %d: %v", text, len(all), err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil && len(body) == 0 {
			t.Fatalf("%.200q: body of reply %d: %v", text, len(all), err)
		}
		body = dates.ReplaceAll(body, nil)
		s := said{status: resp.StatusCode, closes: resp.Close, body: uuids.ReplaceAllString(string(body), "(uuid)")}
		if own := resp.Header.Get("X-Content-Type-Options") != ""; own { // else net/http itself refuses the request
			if _, err := http.ParseTime(resp.Header.Get("Date")); err != nil {
				t.Fatalf("%.200q: reply %d: %v", text, len(all), err)
			}
		}
		resp.Header.Del("Date")
		var h bytes.Buffer
		_ = resp.Header.Write(&h) // sorted
		s.headers = uuids.ReplaceAllString(h.String(), "(uuid)")
		all = append(all, s)
	}
}

// same sends text to both and compares the answers.
func (p *pair) same(t *testing.T, text string, piece int) {
	t.Helper()
	want, got := talk(t, p.plainAddr, text, piece), talk(t, p.direct.addr, text, piece)
	for i := range min(len(want), len(got)) {
		w, g := want[i], got[i]
		// net/http finds out that the rest of a refused body never comes before it replies, direct after.
		if i == len(want)-1 && i == len(got)-1 && w.closes && !g.closes {
			w.closes = false
		}
		if w != g {
			t.Fatalf("%.300q in pieces of %d: reply %d is\n%+v\nby net/http\n%+v", text, piece, i, g, w)
		}
	}
	if len(want) != len(got) {
		t.Fatalf("%.300q in pieces of %d: %d replies, by net/http %d:\n%+v\n%+v", text, piece, len(got), len(want), got, want)
	}
}

// sameState compares what both have stored and counted.
func (p *pair) sameState(t *testing.T) {
	t.Helper()
	stored := func(s *stack) string {
		tracks := s.log.Tracks()
		slices.SortFunc(tracks, func(a, b eventlog.TrackInfo) int { return strings.Compare(a.Table.Name, b.Table.Name) })
		var all bytes.Buffer
		for _, info := range tracks {
			fmt.Fprintln(&all, info.Table.Name, info.High)
			a := s.ok(s.do("GET", "/tables/"+info.Table.Name+"?limit=10000", ""))
			all.Write(uuids.ReplaceAll(a.body, nil))
		}
		return regexp.MustCompile(`"cursor":"[^"]*"`).ReplaceAllString(all.String(), "")
	}
	if d, n := stored(p.direct), stored(p.plain); d != n {
		t.Fatalf("stored are\n%s\nby net/http\n%s", d, n)
	}
	counted := func(s *stack) map[string]string {
		m := map[string]string{}
		for line := range strings.Lines(string(s.ok(s.do("GET", "/metrics", "")).body)) {
			if strings.HasPrefix(line, "firn_") && !regexp.MustCompile(`_bucket|_sum|firn_http_connections `).MatchString(line) {
				at := strings.LastIndex(line, " ")
				m[line[:at]] = line[at+1:]
			}
		}
		return m
	}
	d, n := counted(p.direct), counted(p.plain)
	for name, v := range n {
		if d[name] != v {
			t.Errorf("%s is %s by net/http %s", name, d[name], v)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	waitFor(t, func() bool { return p.direct.served() == 0 })
}

// unread has a request refused before its body is read.
const unread = "Content-Encoding: br\r\n"

// oddHeads and oddLines are what the requests of TestDifferential vary in.
var oddHeads = []string{
	// framing
	"Content-Length: 1\r\nContent-Length: 1\r\n",
	"Content-Length: 1\r\nContent-Length: 2\r\n",
	"Content-Length: 1, 1\r\n",
	"Content-Length: 01\r\n",
	"Content-Length: +1\r\n",
	"Content-Length: -1\r\n",
	"Content-Length: 0x1\r\n",
	"Content-Length: 1 \r\n",
	"Content-Length:1\r\n",
	"Content-Length:\t1\r\n",
	"Content-Length: 1\t\r\n",
	"Content-Length : 1\r\n",
	"Content-Length: \r\n",
	"Content-Length: 1\r\nContent_Length: 2\r\n",
	"Content-Length: 1\r\nContent-Length-2: 2\r\n",
	"Content-Length: 18446744073709551617\r\n",
	"Content-Length: 9223372036854775808\r\n",
	"Content-Length: 9999999999\r\n",
	"Content-Length: 10000000000\r\n",
	"content-length: 1\r\n",
	"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
	"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n",
	"Content-Length: 1\r\nTransfer-Encoding: identity\r\n",
	"Content-Length: 1\r\nTransfer-Encoding:\r\n",
	"Content-Length: 1\r\nTransfer-Encoding : chunked\r\n",
	"Content-Length: 1\r\nTransfer-Encoding:\x0bchunked\r\n",
	"Content-Length: 1\r\nTransfer-Encoding: chunked, chunked\r\n",
	"Content-Length: 1\r\nTransfer-Encoding: gzip\r\n",
	"Content-Length: 1\r\nTransfer_Encoding: chunked\r\n",
	"Content-Length: 1\r\nTE: trailers\r\n",
	"Content-Length: 1\r\nTrailer: X\r\n",
	// lines
	"X: a\r\n b\r\nContent-Length: 1\r\n",
	"X: a\r\n\tContent-Length: 2\r\nContent-Length: 1\r\n",
	" X: a\r\nContent-Length: 1\r\n",
	"X: a\nContent-Length: 1\r\n",
	"X: a\rContent-Length: 2\r\nContent-Length: 1\r\n",
	"X: a\x00b\r\nContent-Length: 1\r\n",
	"X: \x7f\r\nContent-Length: 1\r\n",
	"X: \x80\xff\r\nContent-Length: 1\r\n",
	"X: \xc4\xb0\r\nContent-Length: 1\r\n",
	"X\r\nContent-Length: 1\r\n",
	": x\r\nContent-Length: 1\r\n",
	"X Y: a\r\nContent-Length: 1\r\n",
	"X(: a\r\nContent-Length: 1\r\n",
	"X:\r\nContent-Length: 1\r\n",
	// connection
	"Content-Length: 1\r\nConnection: close\r\n",
	"Content-Length: 1\r\nConnection: Close\r\n",
	"Content-Length: 1\r\nConnection: keep-alive\r\n",
	"Content-Length: 1\r\nConnection: keep-alive\r\nConnection: close\r\n",
	"Content-Length: 1\r\nConnection: keep-alive, close\r\n",
	"Content-Length: 1\r\nConnection: x close\r\n",
	"Content-Length: 1\r\nConnection: X-Partition\r\nX-Partition: 3\r\n",
	"Content-Length: 1\r\nConnection: content-length\r\n",
	"Content-Length: 1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
	"Content-Length: 1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
	"Content-Length: 1\r\nProxy-Connection: close\r\n",
	"Content-Length: 1\r\nKeep-Alive: timeout=1\r\n",
	"Content-Length: 1\r\nExpect: 100-continue\r\n",
	"Content-Length: 1\r\nExpect: 100-Continue\r\n",
	"Content-Length: 1\r\nExpect: nothing\r\n",
	"Content-Length: 1\r\nExpect:\r\n",
	"Content-Length: 1\r\nX-Partition: a\r\nExpect: 100-continue\r\n",
	unread + "Content-Length: 1\r\n",
	unread + "Content-Length: 1\r\nExpect: 100-continue\r\n",
	unread + "Transfer-Encoding: chunked\r\n",
	// what the handler reads
	"Content-Length: 1\r\nX-Partition: 3\r\n",
	"Content-Length: 1\r\nX-Partition: 3\r\nX-Partition: 4\r\n",
	"Content-Length: 1\r\nx-partition: 3\r\nX-PARTITION: 4\r\n",
	"Content-Length: 1\r\nX_Partition: 3\r\n",
	"Content-Length: 1\r\nX-Partition: \r\n",
	"Content-Length: 1\r\nX-Partition: a\r\n",
	"Content-Length: 1\r\nX-Timestamp-Ms: 1777636800000\r\n",
	"Content-Length: 1\r\nIdempotency-Key: k\r\n",
	"Content-Length: 1\r\nIdempotency-Key: k\r\nIdempotency-Key: l\r\n",
	"Content-Length: 1\r\nIdempotency-Key: \xe2\x82\xac\r\n",
	"Content-Length: 1\r\nContent-Type: application/json\r\n",
	"Content-Length: 1\r\nContent-Type: application/x-ndjson\r\n",
	"Content-Length: 1\r\nContent-Type: text/plain; charset=latin1\r\n",
	"Content-Length: 1\r\nContent-Encoding: gzip\r\n",
	"Content-Length: 1\r\nContent-Encoding: br\r\n",
	"Content-Length: 1\r\nPragma: no-cache\r\n",
	"Content-Length: 1\r\nHost: x\r\n",
	"Content-Length: 1\r\nHost: y\r\n",
	"Content-Length: 0\r\n",
	"",
}

var oddLines = []string{
	"POST /tables/events HTTP/1.0",
	"POST /tables/events HTTP/0.9",
	"POST /tables/events HTTP/1.2",
	"POST /tables/events HTTP/2.0",
	"POST /tables/events http/1.1",
	"POST /tables/events HTTP/1.1 ",
	"POST /tables/events  HTTP/1.1",
	"POST  /tables/events HTTP/1.1",
	"POST /tables/events",
	"POST /tables/events HTTP/1.1\r",
	"POST /tables/events HTTP/01.1",
	"post /tables/events HTTP/1.1",
	"HEAD /tables/events HTTP/1.1",
	"OPTIONS /tables/events HTTP/1.1",
	"OPTIONS * HTTP/1.1",
	"PATCH /tables/events HTTP/1.1",
	"CONNECT events:80 HTTP/1.1",
	"GET /tables/events/bulk HTTP/1.1",
	"GET /version HTTP/1.1",
	"POST http://x/tables/events HTTP/1.1",
	"POST http://other/tables/events HTTP/1.1",
	"POST //tables/events HTTP/1.1",
	"POST /tables//events HTTP/1.1",
	"POST /tables/events/ HTTP/1.1",
	"POST /tables/events/bulk/ HTTP/1.1",
	"POST /tables/events/../events HTTP/1.1",
	"POST /tables/../tables/events HTTP/1.1",
	"POST /tables/./events HTTP/1.1",
	"POST /tables/%65vents HTTP/1.1",
	"POST /tables/events%2fbulk HTTP/1.1",
	"POST /tables/events%00 HTTP/1.1",
	"POST /tables/events%zz HTTP/1.1",
	"POST /tables/events? HTTP/1.1",
	"POST /tables/events?ack=log HTTP/1.1",
	"POST /tables/events?ack=log&ack=log HTTP/1.1",
	"POST /tables/events?ack=staged HTTP/1.1",
	"POST /tables/events?x=y HTTP/1.1",
	"POST /tables/events;ack=log HTTP/1.1",
	"POST /tables/events#x HTTP/1.1",
	"POST /tables/Events HTTP/1.1",
	"POST /tables/bulk HTTP/1.1",
	"POST /tables/bulk/bulk HTTP/1.1",
	"POST /tables/events/bulk/bulk HTTP/1.1",
	"POST /tables/events/commit HTTP/1.1",
	"POST /tables/ HTTP/1.1",
	"POST /tables HTTP/1.1",
	"PRI * HTTP/2.0",
}

// TestDifferential sends odd requests, each before and behind plain ones, to the direct path and to net/http alone.
func TestDifferential(t *testing.T) {
	p := newPair(t)
	one := post("/tables/events", "x")
	last := head("/tables/events", "Connection: close\r\nContent-Length: 4\r\n") + "last"
	f := func(text string) {
		t.Helper()
		p.same(t, one+text+one+last, 0)
		p.same(t, text+one, 5)
	}
	for _, h := range oddHeads {
		f(head("/tables/events", h) + "1")
		f("POST /tables/events/bulk HTTP/1.1\r\n" + h + "Host: x\r\n\r\n1")
	}
	for _, l := range oddLines {
		f(l + "\r\nHost: x\r\nContent-Length: 1\r\n\r\nx")
		f(l + "\r\nHost: x\r\n\r\n")
	}
	for _, host := range []string{"", "Host:\r\n", "Host: \r\n", "Host: a b\r\n", "Host: a/b\r\n", "Host: [::1]:80\r\n", "Host: a@b\r\n", "Host: \xff\r\n", "Host : x\r\n", "host: x\r\n", "Host: x, y\r\n"} {
		f("POST /tables/events HTTP/1.1\r\n" + host + "Content-Length: 1\r\n\r\nx")
	}
	for _, blank := range []string{"\r\n", "\n", "\r\n\r\n", "\r\n\r\n\r\n", "\r", "\x00", " "} {
		f(blank)
	}
	get := "GET /version HTTP/1.1\r\nHost: x\r\n\r\n"
	for _, end := range []string{"0", "\r\n0", "\r\n01", "\r\n\r\n0", "POS", "POST", "\r\nPO", "\r\n\r\n"} {
		p.same(t, one+end, 0)
		p.same(t, get+end, 1)
		p.same(t, end, 0)
	}
	f("POST /tables/events HTTP/1.1\nHost: x\nContent-Length: 1\n\nx")
	f("POST /tables/events HTTP/1.1\r\nHost: x\nContent-Length: 1\r\n\nx")
	f("POST /tables/events HTTP/1.1\r\nHost: x\r\nContent-Length: 1\n\r\nx")
	f("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
	f("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	f("POST /tables/ev")
	f("POST /tables/events HTTP/1.1\r\nHost: x\r\nContent-Len")
	f(head("/tables/events", "Content-Length: 100000\r\n") + "the rest never comes")
	f(head("/tables/events", unread+"Content-Length: 100000\r\n") + "the rest never comes")
	f(head("/tables/events", "Transfer-Encoding: chunked\r\n") + "3\r\nabc\r\n0\r\n\r\n")
	f(head("/tables/events", "Transfer-Encoding: chunked\r\n") + "3\nabc\n0\n\n")
	f(head("/tables/events", "Transfer-Encoding: chunked\r\n") + "3;x=y\r\nabc\r\n0\r\nX: y\r\n\r\n")
	f(head("/tables/events", unread+"Transfer-Encoding: chunked\r\n") + "3\r\nabc\r\n0\r\n\r\n")
	p.sameState(t)
}

// TestDifferentialSizes sends heads and bodies around the bounds.
func TestDifferentialSizes(t *testing.T) {
	p := newPair(t)
	one := post("/tables/events", "x")
	for _, size := range []int{1 << 10, maxPlainHead, directBytes, maxHeaderBytes} {
		for n := size - 2; n <= size+2; n++ {
			h := head("/tables/events", "Content-Length: 1\r\nX: \r\n")
			h = strings.Replace(h, "X: ", "X: "+strings.Repeat("y", n-len(h)), 1)
			p.same(t, h+"x"+one+h+"x"+one, 0)
			p.same(t, h+"x"+one, 1000)
		}
	}
	for _, n := range []int{1, 10, 63, 64, 65, 66, 500} {
		var h strings.Builder
		for i := range n {
			fmt.Fprintf(&h, "X-%d: y\r\n", i)
		}
		p.same(t, head("/tables/events", h.String()+"Content-Length: 1\r\n")+"x"+one, 0)
	}
	for _, size := range []int{directBytes, steps[0], 64 << 10, p.direct.api.cfg.Limits.MaxBodyBytes} {
		for n := size - 1; n <= size+1; n++ {
			p.same(t, post("/tables/events", strings.Repeat("z", n))+one, 0)
		}
	}
	for n := maxDiscard - 1; n <= maxDiscard+1; n++ { // refused with their bodies unread
		p.same(t, head("/tables/events", fmt.Sprintf(unread+"Content-Length: %d\r\n", n))+strings.Repeat("z", n)+one, 0)
	}
	p.sameState(t)
}

// FuzzDirect sends anything to both.
func FuzzDirect(f *testing.F) {
	one := post("/tables/events", "x")
	f.Add(one+post("/tables/events/bulk", `{"records":[{"payload":1},{"payload":2}]}`)+one, 0)
	for _, h := range oddHeads {
		f.Add(one+head("/tables/events", h)+"1"+one, 9)
	}
	for _, l := range oddLines {
		f.Add(l+"\r\nHost: x\r\nContent-Length: 1\r\n\r\nx"+one, 0)
	}
	p := newPair(f)
	// These answer otherwise each time, or change what later inputs meet.
	elsewhere := regexp.MustCompile(`(?i)metrics|health|watermark|PUT|DELETE|GET|cursor|ack|commit`)
	f.Fuzz(func(t *testing.T, text string, piece int) {
		if elsewhere.MatchString(text) || piece < 0 || len(text) > 64<<10 || piece > 0 && len(text)/piece > 1000 {
			return
		}
		p.same(t, text, piece)
	})
}

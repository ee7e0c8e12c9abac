package load

import (
	"bytes"
	"fmt"
)

// reader reads a table's events that are still in the log, page by page, and begins again where the log ends.
type reader struct {
	addr, table string
	limit       int
	cursor      string
	wire        bytes.Buffer
}

func newReader(addr, table string, limit int) *reader {
	return &reader{addr: addr, table: table, limit: limit}
}

func (r *reader) fill() []byte {
	r.wire.Reset()
	fmt.Fprintf(&r.wire, "GET /tables/%s?limit=%d", r.table, r.limit)
	if r.cursor != "" {
		r.wire.WriteString("&cursor=" + r.cursor)
	}
	fmt.Fprintf(&r.wire, " HTTP/1.1\r\nHost: %s\r\n\r\n", r.addr)
	return r.wire.Bytes()
}

// What an event and the page's end look like. Neither can stand inside a payload: quotes are escaped there.
var (
	eventBegins  = []byte(`{"log":"`)
	cursorBegins = []byte(`"cursor":"`)
	moreComes    = []byte(`"more":true`)
)

// got counts a page's events, by their looks: reading the JSON would cost more than making it does.
func (r *reader) got(a answer) (events, size int64) {
	end := max(0, bytes.LastIndexByte(a.body, ']'))
	r.cursor = ""
	if _, rest, ok := bytes.Cut(a.body[end:], cursorBegins); ok && bytes.Contains(rest, moreComes) {
		cursor, _, _ := bytes.Cut(rest, []byte(`"`))
		r.cursor = string(cursor)
	}
	return int64(bytes.Count(a.body[:end], eventBegins)), int64(end)
}

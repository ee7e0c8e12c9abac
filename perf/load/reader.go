package load

import (
	"bytes"
	"encoding/json"
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

// got counts a page's events. A page that is not read as JSON counts as none: the run's result shows that at once.
func (r *reader) got(a answer) (events, size int64) {
	var page struct {
		Events []struct{ Payload json.RawMessage }
		Cursor string
		More   bool
	}
	if json.Unmarshal(a.body, &page) != nil {
		return 0, 0
	}
	r.cursor = page.Cursor
	if !page.More {
		r.cursor = ""
	}
	for _, e := range page.Events {
		size += int64(len(e.Payload))
	}
	return int64(len(page.Events)), size
}

package load

import (
	"bufio"
	"bytes"
	"net/http"
	"testing"
)

// A reader follows the cursor as long as there is more, and then begins again.
func TestReaderFollowsTheCursor(t *testing.T) {
	r := newReader("127.0.0.1:1", "t", 10)
	f := func(wantQuery, page string, wantEvents int64) {
		t.Helper()
		req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(r.fill())))
		if err != nil {
			t.Fatal(err)
		}
		if req.URL.RawQuery != wantQuery {
			t.Errorf("query %q, want %q", req.URL.RawQuery, wantQuery)
		}
		if n, _ := r.got(answer{status: 200, body: []byte(page)}); n != wantEvents {
			t.Errorf("%d events, want %d", n, wantEvents)
		}
	}
	f("limit=10", `{"table":"t","payload":"text","events":[{"log":"a","payload":"x ] y"},{"log":"a","payload":"{\"log\":\"b"}],"cursor":"c1","more":true,"trimmed":false}`, 2)
	f("limit=10&cursor=c1", `{"table":"t","payload":"text","events":[{"log":"a"}],"cursor":"c2","more":false,"trimmed":false}`, 1)
	f("limit=10", `{"table":"t","payload":"text","events":[],"cursor":"c1","more":false,"trimmed":false}`, 0)
	f("limit=10", `nonsense`, 0)
}

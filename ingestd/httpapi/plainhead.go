package httpapi

import (
	"bufio"
	"bytes"
	"net/http"
	"strconv"
	"strings"
)

// plainHead recognises the heads of plain requests: POST /tables/{table}[/bulk] of HTTP/1.1 with a Content-Length and
// nothing that asks for more than a request and a reply. What a head means is net/http's parser's to say, so that a
// proxy in front and ingestd cannot be brought to disagree about where a request ends. It is asked once: a connection's
// heads are mostly equal but for the digits of Content-Length, and an equal head has an equal meaning.
type plainHead struct {
	request *http.Request // nil: none yet; its length is that of the last match
	bulk    bool
	before  []byte // of the head, the digits of Content-Length
	after   []byte // them; ends with the empty line
}

// plainStart is how every plain request begins.
const plainStart = "POST /tables/"

// mayBePlain says whether a plain head can begin with b. A head that cannot is net/http's at once: it may end where no
// plain one does, at a bare LF, or be refused before its end.
func mayBePlain(b []byte) bool {
	n := min(len(b), len(plainStart))
	if string(b[:n]) != plainStart[:n] || len(b) > maxPlainHead || !printable(b) {
		return false
	}
	i := bytes.IndexByte(b, '\n')
	return i < 0 || bytes.HasSuffix(b[:i], []byte(" HTTP/1.1\r"))
}

// maxPlainHead, in bytes, and maxPlainHeaders bound what an idle connection keeps of its last head, to about 20 KiB.
// Producers' heads have a few hundred bytes.
const (
	maxPlainHead    = 4 << 10
	maxPlainHeaders = 64
)

// maxLengthDigits bounds Content-Length far beyond any body's limit and far below an overflow.
const maxLengthDigits = 10

// known reads a head that differs from the last one in Content-Length at most.
func (p *plainHead) known(b []byte) (size, contentLength int, ok bool) {
	if p.request == nil || !bytes.HasPrefix(b, p.before) {
		return 0, 0, false
	}
	n := 0
	i := len(p.before)
	for ; i < len(b) && b[i]-'0' <= 9; i++ {
		n = n*10 + int(b[i]-'0')
	}
	if d := i - len(p.before); d == 0 || d > maxLengthDigits || !bytes.HasPrefix(b[i:], p.after) {
		return 0, 0, false
	}
	return i + len(p.after), n, true
}

// length is that of the head at the start of b, 0 while it is not whole.
func (p *plainHead) length(b []byte) int {
	if size, _, ok := p.known(b); ok {
		return size
	}
	if i := bytes.Index(b, emptyLine); i >= 0 {
		return i + len(emptyLine)
	}
	return 0
}

var emptyLine = []byte("\r\n\r\n")

// match sets request to what the head asks for and returns its handler, or errNotPlain.
func (p *plainHead) match(head []byte, s *Server) (http.Handler, error) {
	if _, n, ok := p.known(head); ok {
		p.request.ContentLength = int64(n)
	} else if !p.parse(head) {
		p.request = nil
		return nil, errNotPlain
	}
	if _, known := s.api.Registry.Get(p.request.PathValue("table")); !known {
		p.request = nil
		return nil, errNotPlain // its first event asks the catalog, and its sender may lose patience
	}
	if p.bulk {
		return s.api.plainBulk, nil
	}
	return s.api.plainEvent, nil
}

// parse reads a head that is new.
func (p *plainHead) parse(head []byte) bool {
	const header = "\r\ncontent-length: "
	if len(head) > maxPlainHead {
		return false
	}
	lower := bytes.ToLower(head)
	at := bytes.Index(lower, []byte(header))
	if at < 0 || bytes.Count(lower, []byte("\r\ncontent-length")) != 1 || !printable(head) {
		return false
	}
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
	if err != nil || !isPlain(r) {
		return false
	}
	at += len(header)
	digits := r.Header.Get("Content-Length")
	if len(digits) > maxLengthDigits || !bytes.HasPrefix(head[at:], []byte(digits+"\r\n")) || strconv.FormatInt(r.ContentLength, 10) != digits {
		return false
	}
	name, bulk := strings.CutSuffix(strings.TrimPrefix(r.RequestURI, "/tables/"), "/bulk")
	r.SetPathValue("table", name)
	p.request, p.bulk = r, bulk
	p.before, p.after = bytes.Clone(head[:at]), bytes.Clone(head[at+len(digits):])
	return true
}

// printable says whether all lines of a head, or of its beginning, are printable ASCII, ended by CR LF, and none goes on
// the one before.
func printable(head []byte) bool {
	for i, c := range head {
		switch {
		case c == ' ' && i > 0 && head[i-1] == '\n':
			return false
		case c == '\r':
			if i+1 < len(head) && head[i+1] != '\n' {
				return false
			}
		case c == '\n':
			if i == 0 || head[i-1] != '\r' {
				return false
			}
		case c < ' ' || c > '~':
			return false
		}
	}
	return true
}

// isPlain says whether net/http's server would do no more for a request than read a body of ContentLength bytes, call
// the handler of a route of events, and send its reply.
func isPlain(r *http.Request) bool {
	if len(r.Header) > maxPlainHeaders {
		return false
	}
	for name, values := range r.Header {
		if !only(name, "-_") { // its parser lets a space before the colon pass
			return false
		}
		switch name {
		case "Connection":
			if !keepsAlive(values) {
				return false
			}
		case "Expect", "Http2-Settings", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
			return false
		}
	}
	name, ok := strings.CutPrefix(r.RequestURI, "/tables/")
	name = strings.TrimSuffix(name, "/bulk")
	return ok && only(name, "_") && r.Host != "" && only(r.Host, ".-:[]_") && r.Method == "POST" && r.Proto == "HTTP/1.1" &&
		!r.Close && len(r.TransferEncoding) == 0 && len(r.Trailer) == 0 && r.ContentLength >= 0
}

// only says whether s consists of letters, digits and more.
func only(s, more string) bool {
	for _, c := range []byte(s) {
		if c|0x20 < 'a' || c|0x20 > 'z' {
			if (c < '0' || c > '9') && !strings.ContainsRune(more, rune(c)) {
				return false
			}
		}
	}
	return s != ""
}

package s3store

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"firn/commitlib/objstore"
)

// partServer keeps one object that comes in parts, or whole, and answers otherwise where fault says so.
type partServer struct {
	*httptest.Server
	mu      sync.Mutex // protects the rest
	fault   func(op string, n int) *reply
	counts  map[string]int
	headers map[string]http.Header // of the last request of each kind
	parts   map[int][]byte
	object  []byte
	atOnce  int // parts
	most    int
	list    string // the body of the last completion
}

func newPartServer(t testing.TB, fault func(op string, n int) *reply) *partServer {
	s := &partServer{fault: fault, counts: map[string]int{}, headers: map[string]http.Header{}, parts: map[int][]byte{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func opOf(r *http.Request) string {
	q := r.URL.Query()
	switch {
	case r.Method == http.MethodPost && q.Has("uploads"):
		return "begin"
	case r.Method == http.MethodPost:
		return "complete"
	case r.Method == http.MethodDelete:
		return "abort"
	case q.Has("partNumber"):
		return "part"
	}
	return "put"
}

func (s *partServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	op := opOf(r)
	s.mu.Lock()
	if op == "part" {
		s.atOnce++
	}
	s.most = max(s.most, s.atOnce)
	s.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	if op == "part" {
		s.atOnce--
	}
	s.counts[op]++
	s.headers[op] = r.Header
	var a *reply
	if s.fault != nil {
		a = s.fault(op, s.counts[op])
	}
	if a == nil {
		a = s.apply(op, r, body)
	}
	s.mu.Unlock()
	a.write(w)
}

func (s *partServer) apply(op string, r *http.Request, body []byte) *reply {
	etag := map[string]string{"ETag": `"e"`}
	switch op {
	case "begin":
		return &reply{status: 200, text: "<InitiateMultipartUploadResult><UploadId>up1</UploadId></InitiateMultipartUploadResult>"}
	case "part":
		n, _ := strconv.Atoi(r.URL.Query().Get("partNumber"))
		s.parts[n] = body
		return &reply{status: 200, header: map[string]string{"ETag": fmt.Sprintf(`"e%d"`, n)}}
	case "complete":
		s.object, s.list = nil, string(body)
		for n := 1; s.parts[n] != nil; n++ {
			s.object = append(s.object, s.parts[n]...)
		}
		return &reply{status: 200, text: `<CompleteMultipartUploadResult><ETag>"whole"</ETag></CompleteMultipartUploadResult>`}
	case "abort":
		return &reply{status: 204}
	}
	s.object = body
	return &reply{status: 200, header: etag}
}

// seen is how many requests of each kind have come, and the object that they made.
func (s *partServer) seen() (counts map[string]int, object []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.counts), s.object
}

func (s *partServer) store(t testing.TB, change func(*Config)) *Store {
	cfg := testConfig(s.URL)
	cfg.PartBytes = minPartBytes
	if change != nil {
		change(&cfg)
	}
	return newTestStore(t, cfg)
}

func wantCRC(body []byte) string {
	sum := strings.TrimPrefix(objstore.Checksum(body), "crc32c:")
	raw := make([]byte, 4)
	for i := range raw {
		b, _ := strconv.ParseUint(sum[2*i:2*i+2], 16, 8)
		raw[i] = byte(b)
	}
	return base64.StdEncoding.EncodeToString(raw)
}

// TestParts: what is asked of the server for an object in parts: a checksum over the whole, the condition on the
// completion and nowhere else, encryption on the beginning, never more at once than allowed.
func TestParts(t *testing.T) {
	server := newPartServer(t, nil)
	s := server.store(t, func(c *Config) { c.SSE, c.KMSKey, c.Concurrency = "aws:kms", "arn:key", 2 })
	body := pattern(multipartBytes + 1)
	info, err := s.Put(t.Context(), "k", body, ifAbsent)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size != int64(len(body)) || info.ETag != `"whole"` || info.Checksum != objstore.Checksum(body) {
		t.Errorf("put: %+v", info)
	}
	if !bytes.Equal(server.object, body) {
		t.Errorf("%d bytes arrived, %d were sent", len(server.object), len(body))
	}
	if n := (len(body) + minPartBytes - 1) / minPartBytes; server.counts["part"] != n || server.counts["begin"] != 1 || server.counts["complete"] != 1 || server.counts["abort"] != 0 {
		t.Errorf("requests %v, want %d parts", server.counts, n)
	}
	if server.most > 2 {
		t.Errorf("%d parts at once", server.most)
	}
	f := func(op, header, want string) {
		t.Helper()
		if got := server.headers[op].Get(header); got != want {
			t.Errorf("%s was sent with %s %q, want %q", op, header, got, want)
		}
	}
	f("begin", "X-Amz-Checksum-Algorithm", "CRC32C")
	f("begin", "X-Amz-Checksum-Type", "FULL_OBJECT")
	f("begin", "X-Amz-Server-Side-Encryption", "aws:kms")
	f("begin", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id", "arn:key")
	f("begin", "X-Amz-Server-Side-Encryption-Bucket-Key-Enabled", "true")
	f("begin", "If-None-Match", "")
	f("part", "If-None-Match", "")
	f("part", "X-Amz-Server-Side-Encryption", "")
	f("complete", "If-None-Match", "*")
	f("complete", "X-Amz-Checksum-Crc32c", wantCRC(body))
	f("complete", "X-Amz-Checksum-Type", "FULL_OBJECT")
	f("complete", "X-Amz-Mp-Object-Size", fmt.Sprint(len(body)))
	for n := range server.parts {
		if !strings.Contains(server.list, fmt.Sprintf("<ChecksumCRC32C>%s</ChecksumCRC32C><ETag>&#34;e%d&#34;</ETag><PartNumber>%d</PartNumber>", wantCRC(server.parts[n]), n, n)) {
			t.Errorf("part %d is not in the completion: %s", n, server.list)
			break
		}
	}
}

// TestPartsInOrder: parts arrive in any order; S3 wants them listed in theirs.
func TestPartsInOrder(t *testing.T) {
	server := newPartServer(t, nil)
	s := server.store(t, nil)
	u, err := s.begin(t.Context(), "k", object{"bucket", "k"}, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{3, 1, 2} {
		u.send(t.Context(), n, []byte{byte('0' + n)})
	}
	info, err := s.finish(t.Context(), u, 3, crc32.Checksum([]byte("123"), castagnoli), ifAbsent)
	if err != nil || string(server.object) != "123" || info.Checksum != objstore.Checksum([]byte("123")) {
		t.Fatalf("%q, %+v, %v", server.object, info, err)
	}
	var at []int
	for n := range 3 {
		at = append(at, strings.Index(server.list, fmt.Sprintf("<PartNumber>%d<", n+1)))
	}
	if at[0] < 0 || !slices.IsSorted(at) {
		t.Errorf("listed as %s", server.list)
	}
}

// TestWholePutHeaders: the same for one request.
func TestWholePutHeaders(t *testing.T) {
	server := newPartServer(t, nil)
	s := server.store(t, func(c *Config) { c.SSE = "AES256" })
	if _, err := s.Put(t.Context(), "k", []byte("body"), ifAbsent); err != nil {
		t.Fatal(err)
	}
	h := server.headers["put"]
	for header, want := range map[string]string{
		"X-Amz-Checksum-Crc32c": wantCRC([]byte("body")), "X-Amz-Server-Side-Encryption": "AES256", "If-None-Match": "*",
		"X-Amz-Server-Side-Encryption-Bucket-Key-Enabled": "", "X-Amz-Trailer": "", "Content-Encoding": "",
	} {
		if h.Get(header) != want {
			t.Errorf("%s %q, want %q", header, h.Get(header), want)
		}
	}
}

// TestPartsFaults: parts are sent again freely, a completion by the rule of conditional writes; an upload that is certain
// not to be the object is aborted, and one that may be is left alone.
func TestPartsFaults(t *testing.T) {
	f := func(name string, want error, aborts, completes, begins int, fault func(op string, n int) *reply) {
		t.Helper()
		for _, way := range []string{"put", "create"} {
			server := newPartServer(t, fault)
			s := server.store(t, nil)
			body := pattern(2*minPartBytes + 1)
			var err error
			if way == "put" {
				_, err = s.putParts(t.Context(), "k", object{"bucket", "k"}, body, ifAbsent)
			} else {
				err = createWhole(t, s, body)
			}
			wantOnly(t, name+" by "+way, err, want)
			c, arrived := server.seen() // a part that was given up may still be arriving
			if err == nil && !bytes.Equal(arrived, body) {
				t.Errorf("%s by %s: %d bytes arrived", name, way, len(arrived))
			}
			if way == "put" && (c["begin"] != begins || c["abort"] != aborts || c["complete"] != completes) {
				t.Errorf("%s: requests %v; want %d begun, %d completions, %d aborts", name, c, begins, completes, aborts)
			}
			if left := len(s.parts); left != cap(s.parts) {
				t.Errorf("%s by %s: %d of %d buffers came back", name, way, left, cap(s.parts))
			}
		}
	}
	at := func(op string, replies ...reply) func(string, int) *reply {
		return func(o string, n int) *reply {
			if o == op && n <= len(replies) {
				return &replies[n-1]
			}
			return nil
		}
	}
	always := func(op string, a reply) func(string, int) *reply {
		return func(o string, _ int) *reply {
			if o == op {
				return &a
			}
			return nil
		}
	}
	f("nothing", nil, 0, 1, 1, nil)
	f("parts that are lost", nil, 0, 1, 1, at("part", internal, reset, slowDown, noETag))
	f("a begin that is lost", nil, 0, 1, 2, at("begin", internal))
	f("a part that is refused", objstore.ErrFatal, 1, 0, 1, always("part", denied))
	f("parts that never arrive", errOther, 1, 0, 1, always("part", internal))
	f("an upload that is gone", errOther, 1, 0, 1, always("part", reply{status: 404, code: "NoSuchUpload"}))
	f("an upload that is gone at the end", errOther, 1, 1, 1, always("complete", reply{status: 404, code: "NoSuchUpload"}))
	f("a key that exists", objstore.ErrPrecondition, 1, 1, 1, always("complete", refused))
	f("a completion that may have been applied", objstore.ErrUnknown, 0, 1, 1, always("complete", internal))
	f("a completion whose answer is lost", objstore.ErrUnknown, 0, 1, 1, always("complete", reset))
	f("an error inside a success", objstore.ErrUnknown, 0, 1, 1, always("complete", reply{status: 200, code: "InternalError"}))
	f("a busy store, and then a refusal", objstore.ErrUnknown, 0, 2, 1, at("complete", slowDown, refused))
	f("a busy store, and then an upload that is gone", objstore.ErrUnknown, 0, 2, 1, at("complete", slowDown, reply{status: 404, code: "NoSuchUpload"}))
	f("a begin that is refused", objstore.ErrFatal, 0, 0, 1, always("begin", denied))
	f("rivals without end", errOther, rivalAttempts, rivalAttempts, rivalAttempts, always("complete", rival))
}

// TestPartsRival: after a 409 S3 wants a new upload; Put has the body and makes one.
func TestPartsRival(t *testing.T) {
	server := newPartServer(t, func(op string, n int) *reply {
		if op == "complete" && n == 1 {
			return &rival
		}
		return nil
	})
	s := server.store(t, nil)
	body := pattern(2*minPartBytes + 1)
	if _, err := s.putParts(t.Context(), "k", object{"bucket", "k"}, body, ifAbsent); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(server.object, body) || server.counts["begin"] != 2 || server.counts["abort"] != 1 {
		t.Errorf("%d bytes, requests %v", len(server.object), server.counts)
	}
}

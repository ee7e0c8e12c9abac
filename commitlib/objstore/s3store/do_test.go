package s3store

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"firn/commitlib/objstore"
)

var (
	ok        = reply{status: 200, header: map[string]string{"ETag": `"e"`}}
	refused   = reply{status: 412, code: "PreconditionFailed"}
	rival     = reply{status: 409, code: "ConditionalRequestConflict"}
	internal  = reply{status: 500, code: "InternalError"}
	slowDown  = reply{status: 503, code: "SlowDown"}
	tooSlow   = reply{status: 400, code: "RequestTimeout"}
	damaged   = reply{status: 400, code: "BadDigest"}
	denied    = reply{status: 403, code: "AccessDenied"}
	noKey     = reply{status: 404, code: "NoSuchKey"}
	noBucket  = reply{status: 404, code: "NoSuchBucket"}
	expired   = reply{status: 400, code: "ExpiredToken"}
	reset     = reply{reset: true}
	diskFull  = reply{status: 507, code: "XMinioStorageFull"}
	noETag    = reply{status: 200}
	sentinels = []error{objstore.ErrNotExist, objstore.ErrPrecondition, objstore.ErrUnknown, objstore.ErrNoSpace, objstore.ErrFatal}
)

// wantOnly checks that err is want and no other of the port's answers, but for ErrFatal, which may explain ErrUnknown's
// last sending.
func wantOnly(t *testing.T, what string, err, want error) {
	t.Helper()
	if (err == nil) != (want == nil) || want != nil && want != errOther && !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
		return
	}
	for _, s := range sentinels {
		if s != want && errors.Is(err, s) && !(want == objstore.ErrUnknown && s != objstore.ErrPrecondition) {
			t.Errorf("%s: %v is also %q", what, err, s)
		}
	}
}

// errOther stands for an error that is none of the port's answers: nothing was left, and a later try may succeed.
var errOther = errors.New("another error")

// TestConditionalPut: what a write with a condition ends as, and how often it is sent. A refusal is certain only while
// no sending of our own can be what refused it.
func TestConditionalPut(t *testing.T) {
	f := func(want error, requests int, replies ...reply) {
		t.Helper()
		for _, cond := range []objstore.Condition{ifAbsent, {ETag: `"old"`}} {
			server := script(t, replies...)
			s := newTestStore(t, testConfig(server.URL))
			info, err := s.Put(t.Context(), "k", []byte("body"), cond)
			wantOnly(t, "put", err, want)
			if n := server.requests(); n != requests {
				t.Errorf("%+v: %d requests, want %d", replies, n, requests)
			}
			if err == nil && (info.ETag != `"e"` || info.Size != 4 || info.Checksum != objstore.Checksum([]byte("body"))) {
				t.Errorf("info %+v", info)
			}
			r, _ := server.request(0)
			if match := r.Header.Get("If-Match"); match != cond.ETag || (r.Header.Get("If-None-Match") == "*") != cond.Absent {
				t.Errorf("%+v was sent as If-Match %q, If-None-Match %q", cond, match, r.Header.Get("If-None-Match"))
			}
		}
	}
	f(nil, 1, ok)
	f(objstore.ErrPrecondition, 1, refused)
	// Nothing was applied, by the answer's own words: sent again, and a refusal after it is certain.
	f(nil, 2, rival, ok)
	f(objstore.ErrPrecondition, 2, rival, refused)
	f(objstore.ErrPrecondition, 4, rival, tooSlow, damaged, refused)
	f(errOther, maxAttempts, rival)
	// Perhaps applied: never sent again.
	f(objstore.ErrUnknown, 1, internal)
	f(objstore.ErrUnknown, 1, reset)
	f(objstore.ErrUnknown, 1, noETag)
	f(objstore.ErrUnknown, 2, rival, internal)
	// The store asks to come later: sent again, and from then on a refusal may be of our own making.
	f(nil, 2, slowDown, ok)
	f(objstore.ErrUnknown, 2, slowDown, refused)
	f(objstore.ErrUnknown, 3, slowDown, rival, refused)
	f(objstore.ErrUnknown, 2, slowDown, denied)
	f(objstore.ErrUnknown, maxAttempts, slowDown)
	// Nothing will help.
	f(objstore.ErrFatal, 1, denied)
	f(objstore.ErrFatal, 1, noBucket)
	f(objstore.ErrFatal, 1, expired)
	f(objstore.ErrNoSpace, 1, diskFull)
	f(objstore.ErrFatal, 2, rival, denied)
}

// TestIfMatchOfWhatIsGone: S3 answers 404 to If-Match where the object was deleted. It is a refusal of the condition.
func TestIfMatchOfWhatIsGone(t *testing.T) {
	server := script(t, noKey)
	s := newTestStore(t, testConfig(server.URL))
	_, err := s.Put(t.Context(), "k", nil, objstore.Condition{ETag: `"old"`})
	if !errors.Is(err, objstore.ErrPrecondition) || server.requests() != 1 {
		t.Errorf("put: %v after %d requests", err, server.requests())
	}
}

// TestPlainPut: a write without a condition is sent again after any answer that time may change.
func TestPlainPut(t *testing.T) {
	f := func(want error, requests int, replies ...reply) {
		t.Helper()
		server := script(t, replies...)
		s := newTestStore(t, testConfig(server.URL))
		_, err := s.Put(t.Context(), "k", []byte("body"), anyway)
		wantOnly(t, "put", err, want)
		if n := server.requests(); n != requests {
			t.Errorf("%+v: %d requests, want %d", replies, n, requests)
		}
	}
	f(nil, 4, internal, reset, slowDown, ok)
	f(objstore.ErrUnknown, maxAttempts, internal)
	f(errOther, maxAttempts, tooSlow)
	f(objstore.ErrFatal, 1, denied)
	f(objstore.ErrUnknown, 2, internal, denied)
}

// TestReads: a read is sent again until it is whole and as it was stored.
func TestReads(t *testing.T) {
	body := pattern(5000)
	sum := base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.Checksum(body, castagnoli)))
	whole := reply{status: 200, text: string(body), header: map[string]string{"ETag": `"e"`, "X-Amz-Checksum-Crc32c": sum, "X-Amz-Checksum-Type": "FULL_OBJECT"}}
	cut, changed := whole, whole
	cut.cut = 100
	changed.text = strings.Replace(whole.text, "snow", "snew", 1)
	f := func(want error, requests int, replies ...reply) {
		t.Helper()
		server := script(t, replies...)
		s := newTestStore(t, testConfig(server.URL))
		got, info, err := s.Get(t.Context(), "k")
		wantOnly(t, "get", err, want)
		if err == nil && (!bytes.Equal(got, body) || info.Checksum != objstore.Checksum(body) || info.Size != 5000) {
			t.Errorf("%+v: %d bytes, %+v", replies, len(got), info)
		}
		if n := server.requests(); n != requests {
			t.Errorf("%+v: %d requests, want %d", replies, n, requests)
		}
	}
	f(nil, 1, whole)
	f(nil, 5, internal, reset, cut, changed, whole)
	f(nil, 3, slowDown, tooSlow, whole)
	f(errOther, maxAttempts, changed)
	f(errOther, maxAttempts, cut)
	f(errOther, maxAttempts, internal)
	f(objstore.ErrNotExist, 1, noKey)
	f(objstore.ErrNotExist, 2, internal, noKey)
	f(objstore.ErrFatal, 1, noBucket)
	f(objstore.ErrFatal, 1, denied)
}

// TestReadAtAnswers: a range that comes back other than asked for is not handed on.
func TestReadAtAnswers(t *testing.T) {
	part := func(contentRange, text string) reply {
		return reply{status: 206, text: text, header: map[string]string{"Content-Range": contentRange}}
	}
	f := func(want string, wantErr error, requests int, replies ...reply) {
		t.Helper()
		server := script(t, replies...)
		s := newTestStore(t, testConfig(server.URL))
		p := make([]byte, 4)
		n, err := s.ReadAt(t.Context(), "k", p, 10)
		if wantErr == errOther && err != nil && !errors.Is(err, context.Canceled) {
			wantErr = err
		}
		if string(p[:n]) != want || err != wantErr || server.requests() != requests {
			t.Errorf("%+v: %q, %v after %d requests; want %q, %v after %d", replies, p[:n], err, server.requests(), want, wantErr, requests)
		}
		if r, _ := server.request(0); r.Header.Get("Range") != "bytes=10-13" {
			t.Errorf("asked for %q", r.Header.Get("Range"))
		}
	}
	good := part("bytes 10-13/99", "abcd")
	f("abcd", nil, 1, good)
	f("abcd", nil, 3, internal, reset, good)
	f("abcd", nil, 2, reply{status: 200, text: "0123456789abcdefg"}, good) // the range was not heeded
	f("abcd", nil, 2, part("bytes 0-3/99", "0123"), good)
	f("abcd", nil, 2, part("bytes 10-14/99", "abcde"), good)
	f("abcd", nil, 2, reply{status: 206, text: "abcd", cut: 2, header: good.header}, good)
	f("ab", io.EOF, 1, part("bytes 10-11/12", "ab"))
	f("", io.EOF, 1, reply{status: 416, code: "InvalidRange"})
	f("", errOther, maxAttempts, part("bytes 0-3/99", "0123"))
}

// TestStrangers: a success that is no S3's is not believed. An empty list would read as a warehouse without tables, and
// an object without bytes as a table without metadata.
func TestStrangers(t *testing.T) {
	for _, page := range []string{"", "welcome", "<html><body>welcome</body></html>", "<ListBucketResult/>"} {
		server := script(t, reply{status: 200, text: page})
		s := newTestStore(t, testConfig(server.URL))
		_, _, err := s.Get(t.Context(), "k")
		wantOnly(t, "get", err, errOther)
		_, err = s.Head(t.Context(), "k")
		wantOnly(t, "head", err, errOther)
		_, err = s.ReadAt(t.Context(), "k", make([]byte, 3), 0)
		wantOnly(t, "read", err, errOther)
		wantOnly(t, "list", s.List(t.Context(), "", func(objstore.Info) error { return nil }), errOther)
		wantOnly(t, "folders", s.Folders(t.Context(), "", func(string) error { return nil }), errOther)
		_, err = s.Put(t.Context(), "k", nil, ifAbsent)
		wantOnly(t, "put", err, objstore.ErrUnknown)
		if err := s.Check(t.Context()); err == nil {
			t.Errorf("check: %q was believed", page)
		}
	}
}

// refreshable hands out other keys each time it was told that they do not hold.
type refreshable struct{ round atomic.Int32 }

func (p *refreshable) Invalidate() { p.round.Add(1) }

func (p *refreshable) Retrieve(ctx context.Context) (aws.Credentials, error) {
	return static("round"+string('0'+rune(p.round.Load())), "secret", "token").Retrieve(ctx)
}

// TestExpiredCredentials: their source is asked for others once, and the request is sent again with those; a conditional
// write too, since nothing of it was looked at.
func TestExpiredCredentials(t *testing.T) {
	f := func(want error, requests int, replies ...reply) {
		t.Helper()
		server := script(t, replies...)
		cfg := testConfig(server.URL)
		source := &refreshable{}
		cfg.AWS.Credentials = source
		s := newTestStore(t, cfg)
		_, err := s.Put(t.Context(), "k", nil, ifAbsent)
		wantOnly(t, "put", err, want)
		if n := server.requests(); n != requests || int(source.round.Load()) != min(1, requests-1) {
			t.Errorf("%+v: %d requests, %d other credentials", replies, n, source.round.Load())
		}
		for n := range requests {
			if r, _ := server.request(n); !strings.Contains(r.Header.Get("Authorization"), "round"+string('0'+rune(min(n, 1)))) {
				t.Errorf("request %d was signed by %s", n, r.Header.Get("Authorization"))
			}
		}
	}
	f(nil, 2, expired, ok)
	f(objstore.ErrPrecondition, 2, expired, refused)
	f(objstore.ErrFatal, 2, expired, expired)
	f(objstore.ErrFatal, 1, denied)
}

// TestVendedCredentials: the hook is asked for each request, by bucket and key; where it has none the store's own sign,
// and of a vended one that expired its own source is asked for another.
func TestVendedCredentials(t *testing.T) {
	server := script(t, ok, ok, expired, ok)
	source := &refreshable{}
	cfg := testConfig(server.URL)
	cfg.Credentials = func(bucket, key string) aws.CredentialsProvider {
		if bucket == "bucket" && strings.HasPrefix(key, "ware/t/") {
			return source
		}
		return nil
	}
	s := newTestStore(t, cfg)
	for n, key := range []string{"t/a", "u/a", "t/b"} {
		if _, err := s.Put(t.Context(), key, nil, ifAbsent); err != nil {
			t.Errorf("put %d: %v", n, err)
		}
	}
	for n, want := range []string{"round0", "id", "round0", "round1"} {
		if r, _ := server.request(n); !strings.Contains(r.Header.Get("Authorization"), "Credential="+want+"/") {
			t.Errorf("request %d was signed by %s, want %s", n, r.Header.Get("Authorization"), want)
		}
	}
}

// TestBackoff: waits are random between nothing and a bound that doubles, so that callers do not come back together, and
// a store that asks for less gets more of them.
func TestBackoff(t *testing.T) {
	f := func(n int, throttled bool, bound time.Duration) {
		t.Helper()
		var all []time.Duration
		for range 200 {
			all = append(all, backoff(n, throttled))
		}
		slices.Sort(all)
		if all[0] < 0 || all[199] > bound || all[199] < bound/2 || all[0] > bound/2 || len(slices.Compact(all)) < 100 {
			t.Errorf("attempt %d, throttled %v: %v to %v", n, throttled, all[0], all[199])
		}
	}
	f(1, false, firstDelay)
	f(3, false, 4*firstDelay)
	f(1, true, throttledDelay)
	f(10, false, maxDelay)
	f(10, true, maxDelay)
}

// TestHung: a store that takes requests and answers none holds nobody longer than its own context.
func TestHung(t *testing.T) {
	arrived := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		arrived <- struct{}{}
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	s := newTestStore(t, testConfig(server.URL))
	f := func(what string, unknown bool, call func(ctx context.Context) error) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() {
			<-arrived // before that the outcome would be certain
			cancel()
		}()
		if err := call(ctx); !errors.Is(err, context.Canceled) || errors.Is(err, objstore.ErrUnknown) != unknown {
			t.Errorf("%s: %v", what, err)
		}
	}
	f("put", true, func(ctx context.Context) error { _, err := s.Put(ctx, "k", nil, ifAbsent); return err })
	f("get", false, func(ctx context.Context) error { _, _, err := s.Get(ctx, "k"); return err })
	f("list", false, func(ctx context.Context) error { return s.List(ctx, "", func(objstore.Info) error { return nil }) })
	f("delete", true, func(ctx context.Context) error { return s.Delete(ctx, "k") })
}

// TestDeadline: a context's end ends a call at once, with what is known of it.
func TestDeadline(t *testing.T) {
	server := script(t, internal)
	s := newTestStore(t, testConfig(server.URL))
	f := func(what string, call func(ctx context.Context) error, unknown bool) {
		t.Helper()
		before := server.requests()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		s.wait = func(ctx context.Context, _ time.Duration) error { cancel(); return wait(ctx, time.Hour) }
		err := call(ctx)
		if errors.Is(err, objstore.ErrUnknown) != unknown || !errors.Is(err, context.Canceled) || server.requests() != before+1 {
			t.Errorf("%s: %v after %d requests", what, err, server.requests()-before)
		}
	}
	f("put", func(ctx context.Context) error { _, err := s.Put(ctx, "k", nil, anyway); return err }, true)
	f("head", func(ctx context.Context) error { _, err := s.Head(ctx, "k"); return err }, false)
}

package s3store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"firn/commitlib/objstore"
	"firn/perf/peer"
	"firn/perf/tier"
)

// proxied is a store in a bucket of versitygw behind a fault proxy, and the same bucket without it.
func proxied(t *testing.T) (*peer.FaultProxy, *Store, *Store) {
	t.Helper()
	tier.Need(t, tier.CI)
	server := peer.S3(t)
	p := peer.Proxy(t, server.Endpoint)
	return p, openPeer(t, server.At(p)), openPeer(t, server)
}

// s3Error is an answer as S3 gives it.
func s3Error(status int, code string) *peer.Answer {
	return &peer.Answer{
		Status: status, Header: http.Header{"Content-Type": {"application/xml"}},
		Body: "<?xml version=\"1.0\"?><Error><Code>" + code + "</Code><Message>made up</Message></Error>",
	}
}

// nth gives one fault to the n-th request of an operation.
func nth(operation string, n int, f peer.Fault) func(*peer.Request) peer.Fault {
	return func(r *peer.Request) peer.Fault {
		if r.Operation == operation && r.N == n {
			return f
		}
		return peer.Fault{}
	}
}

// TestFaultsOfConditionalPut: a real server behind a bad network. What Put answers is held against what is there.
func TestFaultsOfConditionalPut(t *testing.T) {
	p, s, direct := proxied(t)
	busy := peer.Fault{Answer: s3Error(503, "SlowDown")}
	n := 0
	f := func(name string, fault peer.Fault, want error, applied bool, requests int) {
		t.Helper()
		n++
		key := fmt.Sprintf("metadata/v%d.metadata.json", n)
		p.ResetCounts()
		p.Hook(nth("PutObject", 1, fault))
		body := fmt.Appendf(nil, "version %d", n)
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		_, err := s.Put(ctx, key, body, ifAbsent)
		p.Hook(nil)
		wantOnly(t, name, err, want)
		got, _, look := direct.Get(t.Context(), key)
		if applied != (look == nil) || applied && !bytes.Equal(got, body) {
			t.Errorf("%s: found %q, %v; applied should be %v", name, got, look, applied)
		}
		if sent := p.Requests("PutObject"); sent != requests {
			t.Errorf("%s: %d requests, want %d", name, sent, requests)
		}
		if !applied { // nothing stands in the way of the next try
			if _, err := s.Put(t.Context(), key, body, ifAbsent); err != nil {
				t.Errorf("%s: put again: %v", name, err)
			}
		}
		_, err = s.Put(t.Context(), key, []byte("rival"), ifAbsent)
		if !errors.Is(err, objstore.ErrPrecondition) {
			t.Errorf("%s: a rival afterwards: %v", name, err)
		}
	}
	f("latency", peer.Fault{Delay: 300 * time.Millisecond}, nil, true, 1)
	f("a reset before the server saw it", peer.Fault{Reset: true}, objstore.ErrUnknown, false, 1)
	f("a 500 in place of the server", peer.Fault{Answer: s3Error(500, "InternalError")}, objstore.ErrUnknown, false, 1)
	f("a lost answer", peer.Fault{Lose: true}, objstore.ErrUnknown, true, 1)
	f("half an answer", peer.Fault{HalfSent: true}, objstore.ErrUnknown, true, 1)
	f("a 500 in place of the answer", peer.Fault{Instead: s3Error(500, "InternalError")}, objstore.ErrUnknown, true, 1)
	f("a 502 without XML", peer.Fault{Instead: &peer.Answer{Status: 502, Body: "<html>"}}, objstore.ErrUnknown, true, 1)
	f("throttled", busy, nil, true, 2)
	f("throttled, and yet applied", peer.Fault{Instead: s3Error(503, "SlowDown")}, objstore.ErrUnknown, true, 2)
	f("a rival under way", peer.Fault{Answer: s3Error(409, "ConditionalRequestConflict")}, nil, true, 2)
}

// TestRivalWhileWaiting: between a 409 and its resend the rival wins: certain, since the 409 says that we did not.
func TestRivalWhileWaiting(t *testing.T) {
	p, s, direct := proxied(t)
	p.Hook(func(r *peer.Request) peer.Fault {
		if r.Operation != "PutObject" || r.N > 1 {
			return peer.Fault{}
		}
		if _, err := direct.Put(context.Background(), "k", []byte("rival"), ifAbsent); err != nil {
			t.Errorf("rival: %v", err)
		}
		return peer.Fault{Answer: s3Error(409, "ConditionalRequestConflict")}
	})
	_, err := s.Put(t.Context(), "k", []byte("ours"), ifAbsent)
	wantOnly(t, "put", err, objstore.ErrPrecondition)
}

// TestLateWrite: a caller that gives up does not know; the write may be applied after that, and then refuses another.
func TestLateWrite(t *testing.T) {
	p, s, direct := proxied(t)
	arrived, release := make(chan struct{}), make(chan struct{})
	p.Hook(func(r *peer.Request) peer.Fault {
		if r.Operation == "PutObject" {
			close(arrived)
			<-release
		}
		return peer.Fault{}
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	result := make(chan error, 1)
	go func() { _, err := s.Put(ctx, "k", []byte("late"), ifAbsent); result <- err }()
	<-arrived
	cancel()
	err := <-result
	wantOnly(t, "put", err, objstore.ErrUnknown)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("put: %v", err)
	}
	if _, err := direct.Head(t.Context(), "k"); !errors.Is(err, objstore.ErrNotExist) {
		t.Errorf("too early: %v", err)
	}
	close(release)
	for p.Requests("PutObject") == 0 { // it counts once it is done
		if t.Context().Err() != nil {
			t.Fatal("the write never arrived")
		}
		time.Sleep(time.Millisecond)
	}
	_, err = direct.Put(t.Context(), "k", []byte("rival"), ifAbsent)
	wantOnly(t, "a rival afterwards", err, objstore.ErrPrecondition)
}

// TestFaultsOfReads: reads come through whatever a retry can outlast, whole and right.
func TestFaultsOfReads(t *testing.T) {
	p, s, direct := proxied(t)
	body := pattern(300_000)
	if _, err := direct.Put(t.Context(), "t/k", body, ifAbsent); err != nil {
		t.Fatal(err)
	}
	faults := map[string]peer.Fault{
		"latency": {Delay: 100 * time.Millisecond}, "reset": {Reset: true}, "lost": {Lose: true}, "half": {HalfSent: true},
		"500": {Answer: s3Error(500, "InternalError")}, "busy": {Answer: s3Error(503, "SlowDown")}, "html": {Answer: &peer.Answer{Status: 504, Body: "<html>"}},
		"another's page": {Instead: &peer.Answer{Status: 200, Body: "welcome"}},
	}
	for name, fault := range faults {
		f := func(operation string, read func() error) {
			t.Helper()
			p.ResetCounts()
			p.Hook(nth(operation, 1, fault))
			if err := read(); err != nil {
				t.Errorf("%s of %s: %v", name, operation, err)
			}
			p.Hook(nil)
		}
		f("GetObject", func() error {
			got, _, err := s.Get(t.Context(), "t/k")
			if err == nil && !bytes.Equal(got, body) {
				err = fmt.Errorf("%d other bytes", len(got))
			}
			return err
		})
		f("GetObject", func() error {
			part := make([]byte, 1000)
			n, err := s.ReadAt(t.Context(), "t/k", part, 12345)
			if err == nil && !bytes.Equal(part[:n], body[12345:13345]) {
				err = fmt.Errorf("%d other bytes", n)
			}
			return err
		})
		f("HeadObject", func() error {
			info, err := s.Head(t.Context(), "t/k")
			if err == nil && info.Checksum != objstore.Checksum(body) {
				err = fmt.Errorf("described as %+v", info)
			}
			return err
		})
		f("ListObjectsV2", func() error {
			n := 0
			err := s.List(t.Context(), "t/", func(objstore.Info) error { n++; return nil })
			if err == nil && n != 1 {
				err = fmt.Errorf("%d objects", n)
			}
			return err
		})
	}
}

// TestFaultsOfParts: an object of several parts over a network that loses a part of everything.
func TestFaultsOfParts(t *testing.T) {
	p, s, direct := proxied(t)
	body := pattern(multipartBytes + 5)
	f := func(name string, fault peer.Fault, operation string, want error, applied bool) {
		t.Helper()
		key := "data/" + name
		p.ResetCounts()
		p.Hook(nth(operation, 1, fault))
		info, err := s.Put(t.Context(), key, body, ifAbsent)
		p.Hook(nil)
		wantOnly(t, name, err, want)
		got, _, look := direct.Get(t.Context(), key)
		if applied != (look == nil) || applied && !bytes.Equal(got, body) {
			t.Errorf("%s: found %d bytes, %v; applied should be %v", name, len(got), look, applied)
		}
		if head, look := direct.Head(t.Context(), key); err == nil && (look != nil || head.Checksum != info.Checksum || head.ETag != info.ETag) {
			t.Errorf("%s: head %+v, put said %+v", name, head, info)
		}
		if begun := unfinished(t, direct, key); len(begun) > 0 && !errors.Is(err, objstore.ErrUnknown) && operation != "CreateMultipartUpload" {
			t.Errorf("%s: uploads left: %q", name, begun)
		}
	}
	f("a part is reset", peer.Fault{Reset: true}, "UploadPart", nil, true)
	f("a part's answer is lost", peer.Fault{Lose: true}, "UploadPart", nil, true)
	f("the begin's answer is lost", peer.Fault{Lose: true}, "CreateMultipartUpload", nil, true)
	f("a part is refused", peer.Fault{Answer: s3Error(403, "AccessDenied")}, "UploadPart", objstore.ErrFatal, false)
	f("the completion's answer is lost", peer.Fault{Lose: true}, "CompleteMultipartUpload", objstore.ErrUnknown, true)
	f("the completion is reset", peer.Fault{Reset: true}, "CompleteMultipartUpload", objstore.ErrUnknown, false)
	// The second completion finds the first's object. versitygw says success to it, as S3 does where there is no condition.
	f("the completion is throttled, and yet applied", peer.Fault{Instead: s3Error(503, "SlowDown")}, "CompleteMultipartUpload", nil, true)
	f("a rival is under way", peer.Fault{Answer: s3Error(409, "ConditionalRequestConflict")}, "CompleteMultipartUpload", nil, true)
}

// unfinished are the ids of the uploads of a key that are neither completed nor aborted.
func unfinished(t *testing.T, s *Store, key string) (ids []string) {
	t.Helper()
	at, err := s.locate(key)
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.client.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &at.bucket, Prefix: &at.key})
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range out.Uploads {
		ids = append(ids, *u.UploadId)
	}
	return ids
}

// TestSlowLink: a link of a quarter of what the object needs within a second slows everything and breaks nothing.
func TestSlowLink(t *testing.T) {
	p, s, direct := proxied(t)
	body := pattern(4 << 20)
	p.Throttle(2 << 20)
	if _, err := s.Put(t.Context(), "k", body, ifAbsent); err != nil {
		t.Fatal(err)
	}
	got, _, err := s.Get(t.Context(), "k")
	if err != nil || !bytes.Equal(got, body) {
		t.Fatalf("get: %d bytes, %v", len(got), err)
	}
	if got, _, err = direct.Get(t.Context(), "k"); err != nil || !bytes.Equal(got, body) {
		t.Fatalf("get: %d bytes, %v", len(got), err)
	}
	if n := p.Requests("PutObject"); n != 1 {
		t.Errorf("%d requests", n)
	}
}

// TestOutage: while the store is away calls end soon, as what they are, and are sent once each after the allowance of
// resends is used up; once it is back the first call goes through.
func TestOutage(t *testing.T) {
	p, s, _ := proxied(t)
	if _, err := s.Put(t.Context(), "before", []byte("x"), ifAbsent); err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int64
	p.Hook(func(*peer.Request) peer.Fault { asked.Add(1); return peer.Fault{Answer: s3Error(503, "SlowDown")} })
	const callers, calls = 16, 20
	var all sync.WaitGroup
	for c := range callers {
		all.Go(func() {
			for n := range calls {
				if _, err := s.Head(t.Context(), "before"); err == nil || errors.Is(err, objstore.ErrFatal) || errors.Is(err, objstore.ErrNotExist) {
					t.Errorf("head: %v", err)
				}
				_, err := s.Put(t.Context(), fmt.Sprintf("during/%d-%d", c, n), []byte("x"), ifAbsent)
				if !errors.Is(err, objstore.ErrUnknown) {
					t.Errorf("put: %v", err)
				}
			}
		})
	}
	all.Wait()
	if n := asked.Load(); n > 2*callers*calls+resends {
		t.Errorf("%d calls became %d requests", 2*callers*calls, n)
	}
	p.Hook(nil)
	if _, err := s.Put(t.Context(), "after", []byte("x"), ifAbsent); err != nil {
		t.Errorf("put after the outage: %v", err)
	}

	p.Down()
	if _, err := s.Head(t.Context(), "before"); err == nil || errors.Is(err, objstore.ErrFatal) {
		t.Errorf("head of a store that is gone: %v", err)
	}
	p.Up()
	if _, err := s.Head(t.Context(), "before"); err != nil {
		t.Errorf("head of a store that is back: %v", err)
	}
}

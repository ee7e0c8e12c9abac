package s3store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"firn/commitlib/objstore"
)

const (
	// maxAttempts is how often one call is sent at most. Callers wait and come again by themselves: what this is for is
	// the single lost connection and the passing 503, which 5 attempts over some 2 seconds outlast.
	maxAttempts = 5

	// firstDelay and maxDelay bound the wait before a resend: uniform between nothing and firstDelay doubled each time,
	// so that many callers do not come back together. A store that asks for less is given throttledDelay as the first.
	firstDelay     = 100 * time.Millisecond
	throttledDelay = 400 * time.Millisecond
	maxDelay       = 4 * time.Second

	// retryFor is how long after its beginning a call is still sent again.
	retryFor = 20 * time.Second

	// attemptTime is how long one attempt may take, and slowest the rate in bytes per second below which a transfer is
	// given up: a sixteenth of what S3 gives a connection on a bad day.
	attemptTime = 75 * time.Second
	slowest     = 64 << 10
)

// call is one request that may be sent several times.
type call struct {
	op          string // as error texts name it
	bucket, key string
	bytes       int64 // of the body, either way
	write       bool
	guarded     bool // a write with a condition
	final       bool // a 409 is the end of it: a completion, whose upload is of no use afterwards
	attempts    int  // 0: maxAttempts
}

// send sends a request once, by the SDK. It returns the SDK's error, or one of its own about the answer.
type send func(ctx context.Context, opts func(*s3.Options)) error

// do sends a request until an answer stands.
//
// A write whose answer leaves open whether it was applied ends as objstore.ErrUnknown. One without a condition is sent
// again first: twice applied is once applied. One with a condition is not, but for an answer by which the store asks to
// be asked later; from then on its own first sending may be what refuses the next, so that a refusal is ErrUnknown too.
// What is certainly not applied (nothing was sent; a 409; a damaged body) leaves no such doubt behind.
func (s *Store) do(ctx context.Context, c call, send send) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	began := time.Now()
	doubt, refreshed := false, false
	for attempt := 1; ; attempt++ {
		v, err := s.attempt(ctx, c, send)
		if err == nil {
			s.budget.repay()
			s.proven.Store(c.bucket, struct{}{})
			return nil
		}
		if v.answer == unknown {
			doubt = doubt || c.write
		}
		result := s.result(ctx, c, v, err, doubt)
		if ended(ctx) {
			return result
		}
		if v.refresh && !refreshed && s.refresh(c) {
			refreshed = true
			continue
		}
		if !c.again(v) {
			return result
		}
		delay := backoff(attempt, v.throttled)
		if attempt >= c.limit() || time.Since(began)+delay > retryFor || !s.budget.take() {
			return result
		}
		if s.wait(ctx, delay) != nil {
			return s.result(ctx, c, v, err, doubt)
		}
	}
}

func (c call) limit() int {
	if c.attempts > 0 {
		return c.attempts
	}
	return maxAttempts
}

// again says whether a request may be sent again after an answer.
func (c call) again(v verdict) bool {
	switch v.answer {
	case retry:
		return !c.final || v.status != http.StatusConflict
	case unknown:
		return !c.guarded || v.throttled
	}
	return false
}

// attempt sends a request once.
func (s *Store) attempt(ctx context.Context, c call, send send) (verdict, error) {
	var sent atomic.Bool
	ctx, cancel := context.WithTimeout(ctx, attemptTime+time.Duration(c.bytes/slowest)*time.Second)
	defer cancel()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { sent.Store(true) }})
	err := send(ctx, s.optionsFor(c))
	return classify(err, sent.Load()), err
}

// optionsFor chooses whose credentials sign a request.
func (s *Store) optionsFor(c call) func(*s3.Options) {
	return func(o *s3.Options) {
		if p := s.vended(c); p != nil {
			o.Credentials = p
		}
	}
}

func (s *Store) vended(c call) aws.CredentialsProvider {
	if s.cfg.Credentials == nil {
		return nil
	}
	return s.cfg.Credentials(c.bucket, c.key)
}

// refresh drops credentials that the store no longer takes, and says whether there may be others.
func (s *Store) refresh(c call) bool {
	provider := s.cfg.AWS.Credentials
	if p := s.vended(c); p != nil {
		provider = p
	}
	cache, ok := provider.(interface{ Invalidate() })
	if ok {
		cache.Invalidate()
	}
	return ok
}

// result is the error that a call ends with if it ends now. doubt says that some sending of it may have been applied.
func (s *Store) result(ctx context.Context, c call, v verdict, err error, doubt bool) error {
	if ended(ctx) && v.answer != conflict && v.answer != absent {
		err = fmt.Errorf("%w: %w", ctx.Err(), err)
	} else {
		err = s.explain(c, v, err)
	}
	switch {
	case doubt:
		return fmt.Errorf("%w: %w", objstore.ErrUnknown, err)
	case v.answer == conflict, v.code == "NoSuchKey" && c.guarded: // of If-Match: another removed it
		return fmt.Errorf("%w: %w", objstore.ErrPrecondition, err)
	}
	return err
}

// backoff is the wait after the n-th attempt.
func backoff(n int, throttled bool) time.Duration {
	first := firstDelay
	if throttled {
		first = throttledDelay
	}
	return rand.N(min(maxDelay, first<<(n-1)) + 1)
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

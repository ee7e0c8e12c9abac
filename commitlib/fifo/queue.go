// Package fifo is an SQS FIFO queue as Firn uses one: commit requests in, deliveries out, and what can never succeed
// into the dead-letter queue.
//
// Invariants:
//   - A message keeps its group's order as long as nothing is sent again; nothing above relies on it (PROTOCOL.md).
//   - Nothing is sent to a queue that is not FIFO: it would neither order nor group.
//   - An error tells one of four kinds (KindOf), and what an operator has to do where it is up to one.
//   - No call lasts longer than callTimeout, and Receive that much beyond its waiting.
//
// This is the one package that imports the SDK's SQS client. commitq sends through it, flushlambda rejects through it,
// and polls with it where no Lambda does.
package fifo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

const (
	// callTimeout bounds one call with its retries: SQS answers within 100 ms, and a host that is gone does not.
	callTimeout = 15 * time.Second

	// maxSecondTry bounds the random wait before a call that met a dead connection or a 5xx is made once more: one of SQS's
	// hosts may be going, the next is not. Longer waits are up to the caller, who knows what else waits.
	maxSecondTry = 200 * time.Millisecond

	// defaultMaxBytes bounds messages while the queue has not been asked: SQS's bound before 2025, which is the least
	// that a queue has unless somebody lowered it.
	defaultMaxBytes = 256 << 10
)

// Config names a queue and how to reach it.
type Config struct {
	AWS aws.Config // region, credentials, http client
	URL string     // of the queue, as SQS gives it

	// Endpoint replaces the address of SQS; empty: the scheme and host of URL, which is where the queue is.
	Endpoint string
}

// Queue is one SQS FIFO queue. Safe for concurrent use.
type Queue struct {
	client *sqs.Client
	url    string
	attrs  atomic.Pointer[Attributes] // nil until asked for
}

// New returns the queue without a call to SQS: for a function whose start must not wait. What can be seen from the URL
// is checked, all violations at once.
func New(cfg Config) (*Queue, error) {
	u, err := checkURL(cfg.URL, cfg.AWS.Region)
	if err != nil {
		return nil, fmt.Errorf("open queue: %w", err)
	}
	endpoint := cfg.Endpoint
	if endpoint == "" {
		endpoint = u.Scheme + "://" + u.Host
	}
	client := sqs.NewFromConfig(cfg.AWS, func(o *sqs.Options) {
		o.BaseEndpoint = aws.String(endpoint)
		o.Retryer = retry.NewStandard(func(s *retry.StandardOptions) {
			s.MaxAttempts = 2
			s.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) {
				return rand.N(maxSecondTry), nil
			})
			// The defaults less throttling: more calls are no answer to that.
			s.Retryables = []retry.IsErrorRetryable{
				retry.NoRetryCanceledError{}, retry.RetryableError{}, retry.RetryableConnectionError{},
				retry.RetryableHTTPStatusCode{Codes: retry.DefaultRetryableHTTPStatusCodes},
			}
		})
	})
	return &Queue{client: client, url: cfg.URL}, nil
}

// Open returns the queue after a look at it: that it exists, is FIFO, and may be read.
func Open(ctx context.Context, cfg Config) (*Queue, error) {
	q, err := New(cfg)
	if err != nil {
		return nil, err
	}
	if _, err := q.Attributes(ctx); err != nil {
		return nil, fmt.Errorf("open queue: %w", err)
	}
	return q, nil
}

// URL is the queue's.
func (q *Queue) URL() string { return q.url }

// MaxBytes is the largest message that the queue takes, attributes included, and the most of one batch.
func (q *Queue) MaxBytes() int {
	if a := q.attrs.Load(); a != nil {
		return a.MaxBytes
	}
	return defaultMaxBytes
}

// CheckURL joins what is wrong with a queue's URL for a process in that region, as far as the URL shows it.
func CheckURL(raw, region string) error {
	_, err := checkURL(raw, region)
	return err
}

// checkURL joins what is wrong with a queue's URL in that region.
func checkURL(raw, region string) (*url.URL, error) {
	if raw == "" {
		return nil, errors.New("the queue's URL is empty: give the URL of an SQS FIFO queue, https://sqs.<region>.amazonaws.com/<account>/<name>.fifo")
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil: // which repeats the whole of it, a password included
		return nil, errors.New("queue URL is no URL: want https://sqs.<region>.amazonaws.com/<account>/<name>.fifo")
	case strings.Contains(raw, "@") || u.RawQuery != "":
		return nil, errors.New("queue URL has a user, a password or a query in it: give the URL as SQS states it, and the keys by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	}
	var errs []error
	if (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || strings.Trim(u.Path, "/") == "" {
		errs = append(errs, fmt.Errorf("queue URL %q is not one: want https://sqs.<region>.amazonaws.com/<account>/<name>.fifo, not a name or an ARN", raw))
	} else if !strings.HasSuffix(u.Path, ".fifo") {
		errs = append(errs, fmt.Errorf("queue %s is not FIFO: create one whose name ends in .fifo (a standard queue cannot be changed into one)", raw))
	}
	if region == "" {
		errs = append(errs, errors.New("no region is set for the queue: set AWS_REGION"))
	} else if in := hostRegion(u.Hostname()); in != "" && in != region {
		errs = append(errs, fmt.Errorf("queue %s lies in region %s, and this process runs with %s: set AWS_REGION=%s, or name the queue of %s", raw, in, region, in, region))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return u, nil
}

// hostRegion is the region that an AWS host name states, or empty: sqs.<region>.amazonaws.com, the same with FIPS, dual
// stack, China or a VPC endpoint, and the old <region>.queue.amazonaws.com.
func hostRegion(host string) string {
	host = strings.ToLower(host)
	switch {
	case strings.HasSuffix(host, ".amazonaws.com"), strings.HasSuffix(host, ".amazonaws.com.cn"), strings.HasSuffix(host, ".api.aws"):
	default:
		return ""
	}
	for label := range strings.SplitSeq(host, ".") {
		parts := strings.Split(label, "-")
		last := parts[len(parts)-1]
		if len(parts) >= 3 && len(parts[0]) == 2 && len(last) == 1 && last[0] >= '1' && last[0] <= '9' {
			return label
		}
	}
	return ""
}

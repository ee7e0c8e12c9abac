package glue

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const (
	// sendTime bounds one sending. Glue answers within 100 ms as a rule; beyond this the connection is taken for dead.
	sendTime = 10 * time.Second

	// maxAnswerBytes bounds an answer: a page of 100 tables with 100 KB of columns each.
	maxAnswerBytes = 16 << 20
)

// client speaks the part of Glue's JSON protocol that a catalog needs, signed by the SDK's own signer. The SDK's client
// for Glue does more than this package wants: it sends a request again by itself, where a swap must know how often it
// was sent. It would also add 1.6 MB to the committer's file, a fifth, for 6 of its operations.
type client struct {
	endpoint    string
	region      string
	credentials aws.CredentialsProvider
	http        aws.HTTPClient
	signer      *v4.Signer
	now         func() time.Time
	sendTime    time.Duration
	resends     allowance
}

func newClient(cfg aws.Config, endpoint string, now func() time.Time) (*client, error) {
	c := &client{endpoint: endpoint, region: cfg.Region, credentials: cfg.Credentials, http: cfg.HTTPClient, signer: v4.NewSigner(), now: now, sendTime: sendTime}
	if c.region == "" {
		return nil, errors.New("no region is known: set AWS_REGION")
	}
	if c.credentials == nil {
		return nil, errors.New("no credentials are known: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the host a role")
	}
	if c.http == nil {
		c.http = http.DefaultClient
	}
	if c.endpoint == "" && cfg.BaseEndpoint != nil {
		c.endpoint = *cfg.BaseEndpoint
	}
	if c.endpoint == "" {
		c.endpoint = regionEndpoint(c.region)
	}
	u, err := url.Parse(c.endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("endpoint %q is no http:// or https:// address: correct AWS_ENDPOINT_URL_GLUE", c.endpoint)
	}
	c.endpoint = strings.TrimRight(c.endpoint, "/") + "/"
	return c, nil
}

// regionEndpoint is where AWS serves Glue. Partitions other than these need an endpoint in the configuration.
func regionEndpoint(region string) string {
	suffix := "amazonaws.com"
	if strings.HasPrefix(region, "cn-") {
		suffix = "amazonaws.com.cn"
	}
	return "https://glue." + region + "." + suffix
}

// read sends a request that changes nothing, again and again until it is answered for good. The error is an *answer,
// the context's, or the network's.
func (c *client) read(ctx context.Context, op string, in, out any) error {
	_, err := c.call(ctx, op, in, out, true)
	return err
}

// write sends a request that changes something, and says how often it may have reached the service. It is sent again
// only where the one before was surely not carried out.
func (c *client) write(ctx context.Context, op string, in any) (sends int, err error) {
	return c.call(ctx, op, in, nil, false)
}

func (c *client) call(ctx context.Context, op string, in, out any, harmless bool) (reached int, err error) {
	body, err := json.Marshal(in)
	if err != nil {
		return 0, fmt.Errorf("glue %s: encode request: %w", op, err)
	}
	renewed := false
	for sends := 1; ; sends++ {
		err := c.send(ctx, op, body, out)
		unsent, undone := sureAbout(err)
		if !unsent {
			reached++
		}
		if err == nil {
			c.resends.repay()
			return reached, nil
		}
		again := undone || harmless && passing(err)
		if isKind(err, expired) {
			again = !renewed && c.renewCredentials()
			renewed = true
		}
		if !again || sends == maxSends || ctx.Err() != nil || !c.resends.take() {
			return reached, fmt.Errorf("glue %s: %w", op, err)
		}
		if perr := pause(ctx, sends); perr != nil {
			return reached, fmt.Errorf("glue %s: %w: %w", op, perr, err)
		}
	}
}

// renewCredentials makes the next sending ask for credentials anew, where their provider can.
func (c *client) renewCredentials() bool {
	cache, ok := c.credentials.(interface{ Invalidate() })
	if ok {
		cache.Invalidate()
	}
	return ok
}

// send makes one request, and decodes its answer into out unless that is nil.
func (c *client) send(ctx context.Context, op string, body []byte, out any) error {
	ctx, cancel := context.WithTimeout(ctx, c.sendTime)
	defer cancel()
	credentials, err := c.credentials.Retrieve(ctx)
	if err != nil {
		return unsentError{fmt.Errorf("no credentials could be had: %w", err)}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint, bytes.NewReader(body))
	if err != nil {
		return unsentError{err}
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", "AWSGlue."+op)
	sum := sha256.Sum256(body)
	if err := c.signer.SignHTTP(ctx, credentials, req, hex.EncodeToString(sum[:]), "glue", c.region, c.now()); err != nil {
		return unsentError{fmt.Errorf("sign request: %w", err)}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		var dial *net.OpError
		if errors.As(err, &dial) && dial.Op == "dial" {
			return unsentError{err}
		}
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes+1))
	switch {
	case err != nil:
		return fmt.Errorf("read answer: %w", err)
	case resp.StatusCode != http.StatusOK:
		return newAnswer(op, resp, text, c.now())
	case len(text) > maxAnswerBytes:
		return fmt.Errorf("answer has more than %d bytes", maxAnswerBytes)
	case out == nil && len(text) == 0: // as the API reference has it; {} is what comes
		return nil
	case out == nil:
		out = &struct{}{} // a page of some proxy's in between is no success
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("decode answer: %w", err)
	}
	return nil
}

// unsentError is the error of a request that no byte was sent of.
type unsentError struct{ error }

func (e unsentError) Unwrap() error { return e.error }

// sureAbout says whether a request was surely not sent, and whether it was surely not carried out and may be sent
// again.
func sureAbout(err error) (unsent, undone bool) {
	if _, ok := errors.AsType[unsentError](err); ok {
		return true, true
	}
	return false, isKind(err, throttled) || isKind(err, expired)
}

// passing says whether the same request may well succeed a moment later.
func passing(err error) bool {
	a, ok := errors.AsType[*answer](err)
	return !ok || a.kind == throttled || a.kind == unclear
}

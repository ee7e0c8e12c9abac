package rest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"firn/commitlib/catalog"
)

// request is one call of the service.
type request struct {
	endpoint    endpoint
	id          catalog.Ident
	query       url.Values
	body        any    // sent as JSON; nil: none
	limit       int64  // bytes of a successful answer
	ifNoneMatch string // an entity tag
	delegated   bool   // the answer may carry credentials for the table's files
}

// answer is what came back, whatever its status.
type answer struct {
	status  int
	header  http.Header
	body    []byte
	gzipped bool // it was, on its way
}

// maxErrorBytes bounds an answer that is no success: an error model with a stack trace is some kilobytes.
const maxErrorBytes = 64 << 10

// errTooLarge says that an answer was longer than its bound.
var errTooLarge = errors.New("the catalog's answer is too large")

// send calls the service that the configuration told.
func (c *Catalog) send(ctx context.Context, req request) (*answer, error) {
	s, err := c.serviceOf(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNotSent, err)
	}
	return c.sendTo(ctx, s, req)
}

// sendTo sends a request, once: only where the service answered that it did not look at it, because the token has
// expired, is it sent again with a new one.
func (c *Catalog) sendTo(ctx context.Context, s *service, req request) (*answer, error) {
	var body []byte
	if req.body != nil {
		var err error
		if body, err = json.Marshal(req.body); err != nil {
			return nil, fmt.Errorf("%w: encode the request: %w", catalog.ErrRejected, err)
		}
	}
	token, err := c.bearer(ctx)
	if err != nil {
		return nil, err
	}
	a, err := c.sendOnce(ctx, s, req, body, token)
	if c.token == nil || err != nil || a.status != http.StatusUnauthorized && a.status != statusTokenExpired {
		return a, err
	}
	c.token.drop(token)
	if token, err = c.bearer(ctx); err != nil {
		return nil, err
	}
	return c.sendOnce(ctx, s, req, body, token)
}

// bearer returns the token that requests carry; "" none.
func (c *Catalog) bearer(ctx context.Context) (string, error) {
	if c.token == nil {
		return c.cfg.Token, nil
	}
	token, err := c.token.get(ctx)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errNotSent, err)
	}
	return token, nil
}

// errNotSent says that a request never left.
var errNotSent = errors.New("request was not sent")

func (c *Catalog) sendOnce(ctx context.Context, s *service, req request, body []byte, token string) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	u := s.url(req.endpoint, req.id)
	if len(req.query) > 0 {
		u += "?" + req.query.Encode()
	}
	hr, err := http.NewRequestWithContext(ctx, req.endpoint.method(), u, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNotSent, err)
	}
	hr.Header.Set("Accept", "application/json")
	hr.Header.Set("User-Agent", "firn")
	if body != nil {
		hr.Header.Set("Content-Type", "application/json")
	}
	if req.ifNoneMatch != "" {
		hr.Header.Set("If-None-Match", req.ifNoneMatch)
	}
	if req.delegated && c.signer == nil {
		// Who signs for AWS has credentials for S3 already; Glue gives others to callers that Lake Formation knows only.
		hr.Header.Set("X-Iceberg-Access-Delegation", "vended-credentials")
	}
	// No Idempotency-Key here, ever: net/http would take it for leave to send a commit twice.
	if token != "" {
		hr.Header.Set("Authorization", "Bearer "+token)
	}
	if c.signer != nil {
		if err := c.sign(ctx, hr, body); err != nil {
			return nil, fmt.Errorf("%w: %w", errNotSent, err)
		}
	}
	return c.exchange(hr, req.limit)
}

// exchange sends hr and reads the whole answer.
func (c *Catalog) exchange(hr *http.Request, limit int64) (*answer, error) {
	resp, err := c.http.Do(hr)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	a := &answer{status: resp.StatusCode, header: resp.Header, gzipped: resp.Uncompressed}
	if !a.ok() {
		limit = maxErrorBytes
	}
	a.body, err = io.ReadAll(io.LimitReader(resp.Body, limit+1))
	switch {
	case !a.ok(): // the status says it; the text, as far as it came, explains
		return a, nil
	case err != nil:
		return nil, fmt.Errorf("read the catalog's answer: %w", err)
	case int64(len(a.body)) > limit:
		return nil, fmt.Errorf("%w: more than %d bytes", errTooLarge, limit)
	}
	return a, nil
}

// etag is the entity tag to ask with for news of what was answered. Jetty and Apache mark the tag of what they compress
// with a suffix, and do not know it by that when it comes back: the service behind them knows it without.
func (a *answer) etag() string {
	tag := a.header.Get("ETag")
	if !a.gzipped {
		return tag
	}
	bare, quoted := strings.CutSuffix(tag, `"`)
	bare = strings.TrimSuffix(strings.TrimSuffix(bare, "--gzip"), "-gzip")
	if quoted {
		bare += `"`
	}
	return bare
}

func (a *answer) ok() bool { return a.status >= 200 && a.status <= 299 }

// sign adds AWS's signature, version 4.
func (c *Catalog) sign(ctx context.Context, hr *http.Request, body []byte) error {
	credentials, err := c.cfg.AWS.Credentials.Retrieve(ctx)
	if err != nil {
		return fmt.Errorf("get AWS credentials: %w", err)
	}
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	hr.Header.Set("X-Amz-Content-Sha256", hash)
	if err := c.signer.SignHTTP(ctx, credentials, hr, hash, c.cfg.SigV4, c.cfg.AWS.Region, c.now()); err != nil {
		return fmt.Errorf("sign request: %w", err)
	}
	return nil
}

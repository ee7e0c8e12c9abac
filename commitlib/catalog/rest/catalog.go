package rest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
)

// Catalog implements catalog.Catalog over HTTP. Its methods may be called concurrently. It remembers a few words and
// the vended credentials of each table, nothing that a restart would miss.
type Catalog struct {
	cfg     Config
	http    *http.Client
	log     *slog.Logger
	now     func() time.Time
	service *renewed[*service]
	token   *renewed[string] // nil: no OAuth2
	signer  *v4.Signer       // nil: no SigV4

	mu     sync.Mutex // protects all below
	etags  map[catalog.Ident]etag
	vended map[string]*vendedCredentials // by the prefix of locations that they are for
}

// etag is the entity tag that a service gave to one state of a table.
type etag struct{ metadataLocation, tag string }

// New makes a catalog. It sends nothing: the first call that needs the service asks it for its configuration.
func New(cfg Config) (*Catalog, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configure REST catalog: %w", err)
	}
	cfg.URI = strings.TrimRight(cfg.URI, "/")
	cfg.Root = strings.TrimRight(cfg.Root, "/")
	if cfg.Root == "s3:" {
		cfg.Root = ""
	}
	cfg.OAuthURI = cmp.Or(cfg.OAuthURI, cfg.URI+"/v1/oauth/tokens")
	cfg.Scope = cmp.Or(cfg.Scope, "catalog")
	cfg.Timeout = cmp.Or(cfg.Timeout, DefaultTimeout)
	if cfg.Transport == nil {
		cfg.Transport = newTransport()
	}
	c := &Catalog{
		cfg: cfg, log: cfg.Logger, now: cfg.Now,
		http:  &http.Client{Transport: cfg.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		etags: map[catalog.Ident]etag{}, vended: map[string]*vendedCredentials{},
	}
	if c.log == nil {
		c.log = slog.Default()
	}
	if c.now == nil {
		c.now = time.Now
	}
	c.service = newRenewed(c.now, 2*cfg.Timeout, c.askConfig) // a token may come first
	if cfg.Credential != "" {
		c.token = newRenewed(c.now, cfg.Timeout, c.fetchToken)
	}
	if cfg.SigV4 != "" {
		c.signer = v4.NewSigner()
	}
	return c, nil
}

// newTransport keeps connections for less than the 60 s after which load balancers drop them: a commit on a connection
// that is being dropped has an unknown outcome.
func newTransport() *http.Transport {
	const conns = 16 // to one host: ingestd polls so many tables at once
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:   true,
		MaxIdleConns:        conns,
		MaxIdleConnsPerHost: conns,
		IdleConnTimeout:     50 * time.Second,
		TLSHandshakeTimeout: 5 * time.Second,
	}
}

// Load implements catalog.Catalog: one GET.
func (c *Catalog) Load(ctx context.Context, id catalog.Ident) (*catalog.Table, error) {
	t, err := c.load(ctx, id, nil)
	if err != nil {
		return nil, fmt.Errorf("load table %s: %w", id, err)
	}
	return t, nil
}

// Refresh implements catalog.Catalog: one GET, whose answer is empty (304) where nothing changed and the service gives
// entity tags.
func (c *Catalog) Refresh(ctx context.Context, t *catalog.Table) (*catalog.Table, error) {
	newer, err := c.load(ctx, t.Ident, t)
	if err != nil {
		return nil, fmt.Errorf("refresh table %s: %w", t.Ident, err)
	}
	return newer, nil
}

// load returns known itself where that is the current state.
func (c *Catalog) load(ctx context.Context, id catalog.Ident, known *catalog.Table) (*catalog.Table, error) {
	if err := catalog.CheckIdent(id); err != nil {
		return nil, err
	}
	began := c.now()
	req := request{endpoint: loadTable, id: id, delegated: true, limit: MaxMetadataBytes}
	if known != nil {
		c.mu.Lock()
		if e := c.etags[id]; e.metadataLocation == known.MetadataLocation {
			req.ifNoneMatch = e.tag
		}
		c.mu.Unlock()
	}
	a, err := c.send(ctx, req)
	if err := answered(loading, a, err); err != nil {
		return nil, err
	}
	if a.status == http.StatusNotModified {
		if req.ifNoneMatch == "" { // a cache's, that answers for what somebody else asked
			return nil, errors.New("the catalog answered 304 to what was not asked on a condition: does a cache stand before it?")
		}
		return known, nil
	}
	return c.table(id, known, nil, a, began)
}

// tableAnswer is the specification's LoadTableResult, which also answers a create, and CommitTableResponse, without the
// metadata, which is most of it.
type tableAnswer struct {
	MetadataLocation   string              `json:"metadata-location"`
	Config             map[string]string   `json:"config"`
	StorageCredentials []storageCredential `json:"storage-credentials"`
}

// table reads an answer that holds a table's state. It returns known where the state is that one. before is an earlier
// state's metadata where known is none; both may be nil.
func (c *Catalog) table(id catalog.Ident, known *catalog.Table, before *iceberg.Metadata, a *answer, began time.Time) (*catalog.Table, error) {
	metadata, rest, err := iceberg.CutMember(a.body, "metadata")
	var got tableAnswer
	if err == nil {
		err = json.Unmarshal(rest, &got)
	}
	if err != nil {
		return nil, fmt.Errorf("read the catalog's answer: %w", err)
	}
	if got.MetadataLocation == "" {
		return nil, errors.New("read the catalog's answer: it names no metadata-location")
	}
	t := known
	if known == nil || known.MetadataLocation != got.MetadataLocation {
		if known != nil {
			before = known.Metadata
		}
		m, err := iceberg.ParseMetadataAfter(metadata, before)
		if err != nil {
			return nil, fmt.Errorf("read the catalog's answer: %w", err)
		}
		t = &catalog.Table{
			Ident: id, Location: m.Location, Metadata: m, LoadedAt: began,
			MetadataLocation: got.MetadataLocation, Token: got.MetadataLocation,
		}
	}
	c.learn(id, t.Location, got)
	c.remember(id, t.MetadataLocation, a.etag())
	return t, nil
}

// remember keeps the newest entity tag of a table. An answer without one forgets it.
func (c *Catalog) remember(id catalog.Ident, metadataLocation, tag string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if tag == "" {
		delete(c.etags, id)
		return
	}
	c.etags[id] = etag{metadataLocation, tag}
}

package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"firn/commitlib/catalog"
)

// endpoint is a path of the specification, spelled as a service's configuration lists it.
type endpoint string

// The endpoints in use.
const (
	getConfig       endpoint = "GET /v1/config"
	createNamespace endpoint = "POST /v1/{prefix}/namespaces"
	listTables      endpoint = "GET /v1/{prefix}/namespaces/{namespace}/tables"
	createTable     endpoint = "POST /v1/{prefix}/namespaces/{namespace}/tables"
	loadTable       endpoint = "GET /v1/{prefix}/namespaces/{namespace}/tables/{table}"
	commitTable     endpoint = "POST /v1/{prefix}/namespaces/{namespace}/tables/{table}"
	loadCredentials endpoint = "GET /v1/{prefix}/namespaces/{namespace}/tables/{table}/credentials"
)

// byDefault are the endpoints of a service that lists none (specification: CatalogConfig).
var byDefault = []endpoint{createNamespace, listTables, createTable, loadTable, commitTable}

// service is what the configuration told.
type service struct {
	uri    string // without /v1
	prefix string // as it stands in paths; a service gives it encoded
	offers map[endpoint]bool
}

// maxConfigBytes bounds an answer that holds no table.
const maxConfigBytes = 1 << 20

// serviceOf returns the service's configuration. It holds from the first answer on; an error is not remembered.
func (c *Catalog) serviceOf(ctx context.Context) (*service, error) {
	s, err := c.service.get(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask the catalog %s for its configuration: %w", c.cfg.URI, err)
	}
	return s, nil
}

func (c *Catalog) askConfig(ctx context.Context) (*service, time.Time, error) {
	s, err := c.readConfig(ctx)
	return s, time.Time{}, err
}

func (c *Catalog) readConfig(ctx context.Context) (*service, error) {
	req := request{endpoint: getConfig, limit: maxConfigBytes}
	if c.cfg.Warehouse != "" {
		req.query = url.Values{"warehouse": {c.cfg.Warehouse}}
	}
	a, err := c.sendTo(ctx, &service{uri: c.cfg.URI}, req)
	if err := answered(asking, a, err); errors.Is(err, catalog.ErrNoTable) {
		return nil, fmt.Errorf("there is no warehouse %q: %s", c.cfg.Warehouse, problem(a))
	} else if err != nil {
		return nil, err
	}
	var told struct {
		Defaults  map[string]string `json:"defaults"`
		Overrides map[string]string `json:"overrides"`
		Endpoints []endpoint        `json:"endpoints"`
	}
	if err := json.Unmarshal(a.body, &told); err != nil {
		return nil, fmt.Errorf("read the catalog's answer: %w; is its URI right? It is written without /v1", err)
	}
	setting := func(key string) string { // what the configuration here does not set, a default may
		if v, ok := told.Overrides[key]; ok {
			return v
		}
		return told.Defaults[key]
	}
	s := &service{uri: c.cfg.URI, prefix: strings.Trim(setting("prefix"), "/"), offers: map[endpoint]bool{}}
	if uri := strings.TrimRight(told.Overrides["uri"], "/"); uri != "" && uri != s.uri {
		if s.uri, err = c.movedTo(uri); err != nil {
			return nil, err
		}
	}
	if len(told.Endpoints) == 0 {
		told.Endpoints = byDefault
	}
	for _, e := range told.Endpoints {
		s.offers[e] = true
	}
	for _, e := range []endpoint{loadTable, commitTable} {
		if !s.offers[e] {
			return nil, fmt.Errorf("the service does not offer %q, without which nothing can be committed: is the warehouse %q one of Iceberg tables?", e, c.cfg.Warehouse)
		}
	}
	return s, nil
}

// movedTo checks the URI that a service wants to be called by: requests carry secrets.
func (c *Catalog) movedTo(uri string) (string, error) {
	from, err := url.Parse(c.cfg.URI)
	if err != nil {
		return "", err
	}
	to, err := url.Parse(uri)
	if err != nil || !plainHTTP(uri) {
		return "", fmt.Errorf("the service wants to be called at %q, which is no plain http:// or https:// address", uri)
	}
	if to.Host != from.Host || from.Scheme == "https" && to.Scheme != "https" {
		return "", fmt.Errorf("the service wants to be called at %s: if that is right, configure this URI in place of %s; secrets are not sent to another host on a service's word", uri, c.cfg.URI)
	}
	return uri, nil
}

// url is where an endpoint lies.
func (s *service) url(e endpoint, id catalog.Ident) string {
	_, path, _ := strings.Cut(string(e), " ")
	if s.prefix == "" {
		path = strings.Replace(path, "{prefix}/", "", 1)
	}
	path = strings.NewReplacer("{prefix}", s.prefix, "{namespace}", url.PathEscape(id.Namespace), "{table}", url.PathEscape(id.Name)).Replace(path)
	return s.uri + path
}

func (e endpoint) method() string {
	method, _, _ := strings.Cut(string(e), " ")
	return method
}

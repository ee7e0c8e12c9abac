package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"firn/ingestd/registry"
)

// hung is a registry whose catalog does not answer about tables that are not known.
type hung struct{ Registry }

func (h hung) Ensure(ctx context.Context, name string) (*registry.Table, error) {
	if t, ok := h.Get(name); ok {
		return t, nil
	}
	return h.Find(ctx, name)
}

func (h hung) Find(ctx context.Context, name string) (*registry.Table, error) {
	<-ctx.Done()
	return nil, registry.ErrUnavailable
}

// First events of tables that wait for a catalog which hangs must not take the memory of tables that need no catalog.
func TestHungCatalogCostsNewTablesOnly(t *testing.T) {
	s := newStack(t, options{config: func(c *Config) { c.Limits.MaxBodyBytes, c.InFlightBytes = 1<<20, 4<<20 }, deps: func(d *Deps) { d.Registry = hung{d.Registry} }})
	if _, err := s.registry.Ensure(t.Context(), "events"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	body := strings.Repeat("x", 600<<10)
	answered := make(chan struct{}, 8)
	for i := range 8 {
		go func() { s.give(ctx, fmt.Sprintf("/tables/new%d", i), body); answered <- struct{}{} }()
	}
	for range 6 { // refused, since two wait already
		<-answered
	}
	s.ok(s.do("POST", "/tables/events", body))
}

// give sends a body and does not care for the answer.
func (s *stack) give(ctx context.Context, path, body string) {
	req, err := http.NewRequestWithContext(ctx, "POST", s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Error(err)
		return
	}
	if resp, err := http.DefaultClient.Do(req); err == nil {
		resp.Body.Close()
	}
}

package rest_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"firn/commitlib/catalog"
	"firn/commitlib/catalog/catalogtest"
	"firn/commitlib/catalog/rest"
	"firn/perf/peer"
	"firn/perf/tier"
)

var _ catalog.Catalog = (*rest.Catalog)(nil)

var quiet = slog.New(slog.DiscardHandler)

func newCatalog(t *testing.T, cfg rest.Config) *rest.Catalog {
	t.Helper()
	cfg.Logger = quiet
	c, err := rest.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// commits puts faults on the commits that go through a proxy.
type commits struct {
	t      *testing.T
	target string // the server's address

	mu    sync.Mutex // protects all below
	next  *catalogtest.Fault
	late  []*peer.Request
	total int // commits seen
}

// watch makes the faults befall what goes through the proxy.
func watch(t *testing.T, p *peer.FaultProxy, target string) *commits {
	c := &commits{t: t, target: target}
	p.Hook(func(r *peer.Request) peer.Fault {
		if r.Method != http.MethodPost || !bytes.Contains(r.Body, []byte(`"add-snapshot"`)) {
			return peer.Fault{}
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.total++
		fault := c.next
		if fault == nil {
			return peer.Fault{}
		}
		c.next = nil
		switch *fault {
		case catalogtest.LostResponse:
			return peer.Fault{Lose: true}
		case catalogtest.Late:
			c.late = append(c.late, &peer.Request{Path: r.Path, Header: r.Header.Clone(), Body: slices.Clone(r.Body)})
		}
		return peer.Fault{Reset: true}
	})
	return c
}

func (c *commits) fault(f catalogtest.Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next = &f
}

// settle sends what lingered; nobody waits for its answer.
func (c *commits) settle() {
	c.mu.Lock()
	late := c.late
	c.late = nil
	c.mu.Unlock()
	for _, l := range late {
		req, err := http.NewRequest(http.MethodPost, c.target+l.Path, bytes.NewReader(l.Body))
		if err != nil {
			c.t.Error(err)
			return
		}
		req.Header = l.Header
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			c.t.Error(err)
			return
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
}

// TestContract runs over the Iceberg project's server, with a client and a rival that share nothing but it.
func TestContract(t *testing.T) {
	tier.Need(t, tier.CI)
	catalogtest.Run(t, func(t *testing.T) catalogtest.Env {
		server := peer.REST(t)
		proxy := peer.Proxy(t, server.Base())
		faults := watch(t, proxy, server.Base())
		return catalogtest.Env{
			Catalog: newCatalog(t, rest.Config{URI: server.At(proxy).URI, Root: server.Warehouse}),
			Rival:   newCatalog(t, rest.Config{URI: server.At(proxy).URI}), // which lets the service choose locations
			Fault:   faults.fault, Settle: faults.settle, Remote: true, Tag: tagAt(server.URI),
		}
	})
}

// tagAt makes tags as another client of the service at that address does.
func tagAt(uri string) func(t *testing.T, table *catalog.Table, name string, snapshotID int64) {
	return func(t *testing.T, table *catalog.Table, name string, snapshotID int64) {
		t.Helper()
		body := fmt.Sprintf(`{"requirements": [], "updates": [
			{"action": "set-snapshot-ref", "ref-name": %q, "type": "tag", "snapshot-id": %d}]}`, name, snapshotID)
		url := fmt.Sprintf("%s/v1/namespaces/%s/tables/%s", uri, table.Ident.Namespace, table.Ident.Name)
		resp, err := http.Post(url, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if said, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %v: %s", resp.Status, err, said)
		}
	}
}

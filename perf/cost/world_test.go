package cost

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"firn/commitlib"
	"firn/commitlib/catalog"
	"firn/commitlib/warehouse"
	"firn/perf/peer"
	"firn/perf/track"
)

// filesOfACommit is how many data files each commit here adds; its cost in requests does not depend on it.
const filesOfACommit = 10

// services are the servers that one test's committers use, each behind a proxy that counts.
type services struct {
	*testing.T
	env     []string // all but the warehouse
	root    string   // of the warehouse
	proxies []*peer.FaultProxy
}

// catalogs open the services of each kind of catalog. Every kind keeps its tables in one S3 server. lanes is how many
// commits a server takes side by side without errors of its own making, which would be counted.
var catalogs = []struct {
	name  string
	open  func(t *testing.T) *services
	lanes int
}{
	{warehouse.ObjectStore, openObjectStore, 8},
	{warehouse.Glue, openGlue, 4},
	{warehouse.REST, openREST, 1},
}

func openObjectStore(t *testing.T) *services {
	return onS3(t, peer.S3(t), "FIRN_CATALOG="+warehouse.ObjectStore)
}

func openGlue(t *testing.T) *services {
	aws := peer.AWS(t)
	proxy := peer.Proxy(t, aws.Endpoint)
	s := onS3(t, peer.S3(t), "FIRN_CATALOG="+warehouse.Glue, "AWS_ENDPOINT_URL_GLUE="+proxy.URL)
	s.proxies = append(s.proxies, proxy)
	return s
}

func openREST(t *testing.T) *services {
	server := peer.REST(t)
	proxy := peer.Proxy(t, server.Base())
	s := onS3(t, server.S3, "FIRN_CATALOG="+warehouse.REST, "FIRN_CATALOG_URI="+server.At(proxy).URI)
	s.root = server.Warehouse
	s.proxies = append(s.proxies, proxy)
	return s
}

func onS3(t *testing.T, server *peer.S3Server, env ...string) *services {
	proxy := peer.Proxy(t, server.Endpoint)
	return &services{T: t, env: append(server.At(proxy).Env(), env...), root: server.Root() + "/warehouse", proxies: []*peer.FaultProxy{proxy}}
}

// instance is one warm committer: what one instance of the function holds between its invocations.
type instance struct {
	*warehouse.Warehouse
	*commitlib.Committer
}

// instance starts one that knows nothing yet, with connections of its own.
func (s *services) instance() *instance { return s.instanceOf(commitlib.Config{}) }

func (s *services) instanceOf(cfg commitlib.Config) *instance {
	s.Helper()
	w := track.Open(s, append(slices.Clip(s.env), "FIRN_WAREHOUSE="+s.root)...)
	return &instance{w, commitlib.New(w.Catalog, w.Store, cfg)}
}

// never is how many manifests a committer has to meet that merges none.
const never = 1 << 20

// table makes a table and begins a track on it.
func (s *services) table(i *instance, n int) *track.Track {
	s.Helper()
	spec, err := track.Spec()
	if err != nil {
		s.Fatal(err)
	}
	// The service's databases outlive a test: names of its own.
	id := catalog.Ident{Namespace: namespace(s.root), Name: fmt.Sprintf("clicks%d", n)}
	t, err := i.Catalog.Create(s.Context(), id, spec)
	if err != nil {
		s.Fatal(err)
	}
	return track.New(t)
}

// namespace turns a bucket's name, which each test has of its own, into a database's.
func namespace(root string) string {
	return strings.NewReplacer("-", "_", "/", "_").Replace(strings.TrimPrefix(root, "s3://"))
}

// commit applies the track's next request.
func (s *services) commit(i *instance, t *track.Track) {
	s.Helper()
	s.submit(i, t.Request(filesOfACommit), commitlib.Applied)
}

func (s *services) submit(i *instance, r *commitlib.Request, want commitlib.Outcome) {
	s.Helper()
	if err := i.submit(s.Context(), r, want); err != nil {
		s.Fatal(err)
	}
}

func (i *instance) submit(ctx context.Context, r *commitlib.Request, want commitlib.Outcome) error {
	results, err := i.Commit(ctx, r.Table, []*commitlib.Request{r})
	if err != nil || results[0].Outcome != want {
		return fmt.Errorf("%s [%d, %d]: %+v, %w; want %v", r.Table, r.First, r.Last, results, err, want)
	}
	return nil
}

// spent is how many requests of each operation were made, and the bytes of their bodies.
type spent struct {
	requests map[string]int
	in, out  int64
}

// measure counts what fn spends.
func (s *services) measure(fn func()) spent {
	for _, p := range s.proxies {
		p.ResetCounts()
	}
	fn()
	total := spent{requests: map[string]int{}}
	for _, p := range s.proxies {
		for operation, c := range p.Counts() {
			total.requests[operation] += c.Requests
			total.in, total.out = total.in+c.Out, total.out+c.In
		}
	}
	return total
}

// want is measure with the exact numbers that are expected.
func (s *services) want(what string, want map[string]int, fn func()) spent {
	s.Helper()
	got := s.measure(fn)
	s.compare(what, got, want)
	return got
}

func (s *services) compare(what string, got spent, want map[string]int) {
	s.Helper()
	if !maps.Equal(got.requests, want) {
		s.Errorf("%s: %s, want %s", what, list(got.requests), list(want))
	}
}

// list prints requests in one order.
func list(requests map[string]int) string {
	var parts []string
	for _, operation := range slices.Sorted(maps.Keys(requests)) {
		parts = append(parts, fmt.Sprintf("%d %s", requests[operation], operation))
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}

// times multiplies every count.
func times(n int, requests map[string]int) map[string]int {
	product := map[string]int{}
	for operation, count := range requests {
		if n*count > 0 {
			product[operation] = n * count
		}
	}
	return product
}

package compare

import (
	"bytes"
	"fmt"
	"log/slog"
	"maps"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"firn/commitlib"
	"firn/commitlib/catalog"
	"firn/commitlib/catalog/objectstore"
	"firn/commitlib/iceberg"
	"firn/commitlib/objstore"
	"firn/commitlib/warehouse"
	"firn/perf/e2e"
	"firn/perf/peer"
	"firn/perf/tier"
	"firn/perf/track"
)

const (
	filesOfCommit = 10
	warmups       = 2 // rounds that do not count: connections, caches, a JVM
)

// TestCommit has each committer append the same files to a table of its own, on one S3 server: to tables in the Iceberg
// project's REST catalog, and to those whose metadata the committer writes itself (Firn's on the store alone, the peers'
// with SQLite).
func TestCommit(t *testing.T) {
	tier.Need(t, tier.Slow)
	for _, snapshots := range []int{10, 1000} {
		t.Run(fmt.Sprint(snapshots), func(t *testing.T) { commitTo(t, snapshots) })
	}
}

// contestant is a committer with its table.
type contestant struct {
	*subject
	table   *track.Track
	proxies []*peer.FaultProxy
	files   func() int // that its table has
}

func commitTo(t *testing.T, snapshots int) {
	server := peer.REST(t)
	aged := age(t, server, snapshots)
	location := aged.Table.MetadataLocation
	store, rest := peer.Proxy(t, server.S3.Endpoint), peer.Proxy(t, server.Base())
	env := server.S3.At(store).Env()
	uri := server.At(rest).URI
	ours := e2e.Build(t, "ours", ".", "./perf/compare/ours")
	peers := e2e.Build(t, "peers", "perf/compare/peers", ".")

	var all []*contestant
	add := func(name, table string, cmd *exec.Cmd, count func() int, more ...string) {
		own := *aged
		copied := *aged.Table
		copied.Ident.Name = table
		own.Table = &copied
		all = append(all, &contestant{subject: start(t, name, cmd, append(more, env...)), table: &own, proxies: []*peer.FaultProxy{store, rest}, files: count})
	}
	// By PyIceberg, which is asked without a proxy.
	count := func(kind, place, table string) func() int {
		return func() int {
			out := bytes.TrimSpace(python(t, server.S3.Env(), "files", kind, place, "default", table))
			n, err := strconv.Atoi(string(out))
			if err != nil {
				t.Fatalf("count files of %s: %s", table, out)
			}
			return n
		}
	}
	for _, table := range []string{"firn", "iceberggo", "pyiceberg"} {
		server.Register(t, "default", table, location)
	}
	add("Firn, REST", "firn", exec.Command(ours, "commit"), count("rest", server.URI, "firn"),
		"FIRN_WAREHOUSE="+server.Warehouse, "FIRN_CATALOG="+warehouse.REST, "FIRN_CATALOG_URI="+uri)
	add("iceberg-go, REST", "iceberggo", exec.Command(peers, "commit", "rest", uri, "default", "iceberggo"), count("rest", server.URI, "iceberggo"))
	add("PyIceberg, REST", "pyiceberg", pythonCommand(t, "commit", "rest", uri, "default", "pyiceberg"), count("rest", server.URI, "pyiceberg"))

	sqlite := func(name string) string {
		path := filepath.Join(t.TempDir(), name+".db")
		python(t, server.S3.Env(), "register", path, "default", name, location)
		return path
	}
	goDB, pyDB := sqlite("iceberggo"), sqlite("pyiceberg")
	add("Firn, store alone", aged.Table.Ident.Name, exec.Command(ours, "commit"), nil, "FIRN_WAREHOUSE="+server.Warehouse)
	add("iceberg-go, SQLite", "iceberggo", exec.Command(peers, "commit", "sql", goDB, "default", "iceberggo"), count("sql", goDB, "iceberggo"))
	add("PyIceberg, SQLite", "pyiceberg", pythonCommand(t, "commit", "sql", pyDB, "default", "pyiceberg"), count("sql", pyDB, "pyiceberg"))

	rounds := warmups + 7
	for round := range rounds {
		for i := range all {
			all[(round+i)%len(all)].commit(t, round >= warmups)
		}
	}
	for _, c := range all {
		if c.files == nil {
			continue // the others' tables began as copies of this one; its own test reads it
		}
		if got, want := c.files(), (snapshots+rounds)*filesOfCommit; got != want {
			t.Errorf("%s: its table has %d files, want %d", c.name, got, want)
		}
	}
	var rows []Row
	for _, c := range all {
		rows = append(rows, Row{
			Comparison: "commit of 10 files", Setting: fmt.Sprintf("%d snapshots", snapshots), Subject: c.name, Rounds: len(c.wall), Requests: c.requests,
			Figures: map[string]float64{
				"time ms": Median(c.wall) / 1e6, "CPU ms": Median(c.cpu) / 1e6, "requests": float64(sum(c.requests)), "peak MiB": c.peak(t),
			},
		})
	}
	publish(t, rows, []Figure{{"time ms", true}, {"CPU ms", true}, {"requests", true}, {"peak MiB", true}})
}

// commit has the contestant append the next files, and counts what it asks of the servers.
func (c *contestant) commit(t *testing.T, counts bool) {
	t.Helper()
	r := c.table.Request(filesOfCommit)
	m, err := track.Message(r)
	if err != nil {
		t.Fatal(err)
	}
	j := job{Message: m.Body, Group: m.Group}
	for _, f := range r.Files {
		j.Files = append(j.Files, fileOf(t, f))
	}
	for _, p := range c.proxies {
		p.ResetCounts()
	}
	a := c.do(t, j)
	c.requests = map[string]int{}
	for _, p := range c.proxies {
		for operation, n := range p.Counts() {
			c.requests[operation] += n.Requests
		}
	}
	// A manifest and a list at least; pyarrow's writer uploads even these in parts.
	if c.requests["PutObject"]+c.requests["CompleteMultipartUpload"] < 2 {
		t.Fatalf("%s: %v went through the proxy: it found another way to the store", c.name, c.requests)
	}
	if counts {
		c.count(a)
	}
}

// age makes a table with so many snapshots of ten files each in the server's warehouse. The commits are made in memory; what
// the last one's readers and committers need is copied.
func age(t *testing.T, server *peer.RESTServer, snapshots int) *track.Track {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	memory := objstore.NewMem(server.Warehouse)
	versions := objectstore.New(memory, objectstore.Config{Logger: quiet})
	spec, err := track.Spec()
	if err != nil {
		t.Fatal(err)
	}
	made, err := versions.Create(t.Context(), catalog.Ident{Namespace: "default", Name: "aged"}, spec)
	if err != nil {
		t.Fatal(err)
	}
	tr := track.New(made)
	c := commitlib.New(versions, memory, commitlib.Config{Log: quiet})
	for range snapshots {
		r := tr.Request(filesOfCommit)
		if results, err := c.Commit(t.Context(), r.Table, []*commitlib.Request{r}); err != nil || results[0].Outcome != commitlib.Applied {
			t.Fatal(results, err)
		}
	}
	if tr.Table, err = versions.Load(t.Context(), made.Ident); err != nil {
		t.Fatal(err)
	}
	if n := len(tr.Table.Metadata.Snapshots); n != snapshots {
		t.Fatalf("the table has %d snapshots, want %d", n, snapshots)
	}
	current := tr.Table.Metadata.CurrentSnapshot().ManifestList
	store := track.Open(t, append(server.S3.Env(), "FIRN_WAREHOUSE="+server.Warehouse)...).Store // without a proxy
	err = memory.List(t.Context(), "", func(o objstore.Info) error {
		location := objstore.Location(memory, o.Key)
		name := location[strings.LastIndexByte(location, '/')+1:]
		superseded := strings.HasSuffix(name, ".metadata.json") && location != tr.Table.MetadataLocation ||
			strings.HasPrefix(name, "snap-") && location != current
		if superseded {
			return nil
		}
		data, _, err := memory.Get(t.Context(), o.Key)
		if err != nil {
			return err
		}
		_, err = store.Put(t.Context(), o.Key, data, objstore.Condition{})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func fileOf(t *testing.T, f iceberg.DataFile) file {
	t.Helper()
	hour, err := iceberg.DecodeInt(f.Partition[0])
	if err != nil {
		t.Fatal(err)
	}
	return file{
		Path: f.Path, Hour: hour, Records: f.RecordCount, Size: f.FileSizeInBytes, ColumnSizes: f.ColumnSizes, Values: f.ValueCounts,
		Nulls: f.NullValueCounts, Lower: f.LowerBounds, Upper: f.UpperBounds,
	}
}

// post asks a REST catalog by other means than any client under test.

func sum(requests map[string]int) (n int) {
	for v := range maps.Values(requests) {
		n += v
	}
	return n
}

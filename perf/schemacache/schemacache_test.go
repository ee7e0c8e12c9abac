// Package schemacache measures what parsing Avro schemas once is worth: the time of whole commits, from a message to a
// swapped table, as Firn is built and as it would be if schemas were parsed at each use (build tag firnreparse).
//
//	go test -run TestSchemaCache -v ./perf/schemacache      (with FIRN_TIER=ci)
package schemacache

import (
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"

	"firn/commitlib"
	"firn/commitlib/catalog"
	"firn/commitlib/catalog/objectstore"
	"firn/commitlib/iceberg"
	"firn/commitlib/manifest"
	"firn/commitlib/objstore"
	"firn/perf/tier"
)

const (
	files = 10
	rows  = 100 // of each file
	// warm commits go to one table before a new one is made: a table's age costs time of its
	// own, which is not what is measured.
	commits = 32
)

// table is a table of its own store, with a committer that has committed to it once.
type table struct {
	*catalog.Table
	committer *commitlib.Committer
	log       uuid.UUID
	next      commitlib.Seq
}

func newTable(tb testing.TB) *table {
	tb.Helper()
	store := objstore.NewMem("mem://warehouse")
	cat := objectstore.New(store, objectstore.Config{Logger: slog.New(slog.DiscardHandler)})
	spec, err := iceberg.EventSpec(nil)
	if err != nil {
		tb.Fatal(err)
	}
	made, err := cat.Create(tb.Context(), catalog.Ident{Namespace: "default", Name: "clicks"},
		catalog.Spec{Schema: iceberg.EventSchema(iceberg.String), Partition: spec, Properties: commitlib.NewTableProperties()})
	if err != nil {
		tb.Fatal(err)
	}
	t := &table{Table: made, committer: commitlib.New(cat, store, commitlib.Config{}), log: uuid.Must(uuid.NewV7()), next: 1}
	t.commit(tb, t.message(tb))
	return t
}

// message is the next commit request of the table's log, encoded as a queue carries it.
func (t *table) message(tb testing.TB) commitlib.Message {
	schema, spec := t.Metadata.CurrentSchema(), t.Metadata.DefaultSpec()
	r := &commitlib.Request{
		Version: commitlib.Protocol, Table: t.Ident, TableUUID: t.Metadata.TableUUID, Location: t.Location, Log: t.log,
		First: t.next, Last: t.next + files*rows - 1, SchemaID: schema.ID, SchemaHash: commitlib.SchemaHash(schema),
		SpecID: spec.ID, SpecHash: commitlib.SpecHash(&spec), StagedAt: time.Now(),
	}
	t.next = r.Last + 1
	for i := range files {
		f := iceberg.DataFile{
			Path:      fmt.Sprintf("%s/data/event_time_hour=2026-11-23-%02d/%s-%d-%d-%d.parquet", t.Location, i, t.log, r.First, r.Last, i),
			Partition: [][]byte{iceberg.EncodeInt(498_000 + int32(i))}, RecordCount: rows, FileSizeInBytes: 4000, SplitOffsets: []int64{4},
			ColumnSizes: map[int]int64{}, ValueCounts: map[int]int64{}, NullValueCounts: map[int]int64{},
			LowerBounds: map[int][]byte{iceberg.FieldSequence: iceberg.EncodeLong(int64(r.First))},
			UpperBounds: map[int][]byte{iceberg.FieldSequence: iceberg.EncodeLong(int64(r.Last))},
		}
		for _, c := range schema.Fields {
			f.ColumnSizes[c.ID], f.ValueCounts[c.ID], f.NullValueCounts[c.ID] = 500, rows, 0
		}
		r.Files = append(r.Files, f)
	}
	body, err := commitlib.Encode(r)
	if err != nil {
		tb.Fatal(err)
	}
	return commitlib.Message{ID: strconv.FormatUint(uint64(r.First), 10), Group: r.Group(), Body: body}
}

func (t *table) commit(tb testing.TB, m commitlib.Message) {
	if failed := t.committer.Handle(tb.Context(), []commitlib.Message{m}); len(failed) > 0 {
		tb.Fatalf("message %v was not committed", failed)
	}
}

// BenchmarkCommit is a warm commit of ten files on an object store in memory: the committer's own CPU.
func BenchmarkCommit(b *testing.B) {
	b.ReportAllocs()
	before := manifest.Parses.Load()
	for n := 0; n < b.N; {
		b.StopTimer()
		t := newTable(b)
		batch := min(commits, b.N-n)
		messages := make([]commitlib.Message, batch)
		for i := range messages {
			messages[i] = t.message(b)
		}
		b.StartTimer()
		for _, m := range messages {
			t.commit(b, m)
		}
		n += batch
	}
	b.ReportMetric(float64(manifest.Parses.Load()-before)/float64(b.N), "parses/op")
}

// A thousand warm commits parse nothing: the claim that everything else here rests on.
func TestWarmCommitsParseNothing(t *testing.T) {
	tables := make([]*table, 10)
	for i := range tables {
		tables[i] = newTable(t)
	}
	before := manifest.Parses.Load()
	for range 100 {
		for _, tab := range tables {
			tab.commit(t, tab.message(t))
		}
	}
	if n := manifest.Parses.Load() - before; n != 0 {
		t.Errorf("1,000 warm commits parsed %d schemas", n)
	}
}

var figures = regexp.MustCompile(`BenchmarkCommit\S*\s+\d+\s+(\d+) ns/op\s+([\d.]+) parses/op`)

// The two builds run in turn, several times, and the ratio of their medians is reported. That parsing at each use costs
// more is the claim; the bound is low, so that a noisy machine cannot fail it.
func TestSchemaCache(t *testing.T) {
	tier.Need(t, tier.CI)
	dir := t.TempDir()
	build := func(name string, flags ...string) string {
		bin := filepath.Join(dir, name)
		out, err := exec.Command("go", append(append([]string{"test", "-c", "-o", bin}, flags...), ".")...).CombinedOutput()
		if err != nil {
			t.Fatalf("build: %v\n%s", err, out)
		}
		return bin
	}
	once, each := build("once"), build("each", "-tags", "firnreparse")
	run := func(bin string) (ns int, parses float64) {
		cmd := exec.Command(bin, "-test.run", "^$", "-test.bench", "^BenchmarkCommit$", "-test.benchtime", "300x")
		cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
		out, err := cmd.CombinedOutput()
		m := figures.FindSubmatch(out)
		if err != nil || m == nil {
			t.Fatalf("benchmark: %v\n%s", err, out)
		}
		ns, _ = strconv.Atoi(string(m[1]))
		parses, _ = strconv.ParseFloat(string(m[2]), 64)
		return ns, parses
	}
	var a, b []int
	var parses float64
	for range 7 {
		n, _ := run(once)
		a = append(a, n)
		n, parses = run(each)
		b = append(b, n)
	}
	slices.Sort(a)
	slices.Sort(b)
	ratio := float64(b[3]) / float64(a[3])
	t.Logf("a warm commit of %d files: %d µs with schemas parsed once, %d µs with %.0f parses: %.2f times", files, a[3]/1000, b[3]/1000, parses, ratio)
	if parses < 2 {
		t.Errorf("the build with firnreparse parses %.1f schemas a commit: it does not measure what it says", parses)
	}
	if ratio < 1.1 {
		t.Errorf("parsing at each use costs %.2f times a commit with the cache: the cache is not worth its code", ratio)
	}
}

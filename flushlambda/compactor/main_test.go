package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"firn/commitlib"
	"firn/commitlib/catalog"
	"firn/commitlib/catalog/objectstore"
	"firn/commitlib/column"
	"firn/commitlib/compact"
	"firn/commitlib/datafile"
	"firn/commitlib/iceberg"
	"firn/commitlib/live"
	"firn/commitlib/objstore"
	"firn/perf/peer/runtimeapi"
)

var tableID = catalog.Ident{Namespace: "default", Name: "clicks"}

// lake is a warehouse in a directory, with a table of many small files.
type lake struct {
	t     *testing.T
	dir   string
	store objstore.Store
	cat   catalog.Catalog
}

func newLake(t *testing.T, files int) *lake {
	t.Helper()
	l := &lake{t: t, dir: t.TempDir()}
	store, err := objstore.OpenDir(l.dir)
	l.must(err)
	l.store, l.cat = store, objectstore.New(store, objectstore.Config{Logger: slog.New(slog.DiscardHandler)})
	spec, err := iceberg.EventSpec([]string{iceberg.PartitionNone})
	l.must(err)
	schema := iceberg.EventSchema(iceberg.String)
	table, err := l.cat.Create(t.Context(), tableID, catalog.Spec{Schema: schema, Partition: spec, Properties: commitlib.NewTableProperties()})
	l.must(err)
	enc, err := datafile.NewEncoder(schema, datafile.Default())
	l.must(err)
	log, err := uuid.NewV7()
	l.must(err)
	var reqs []*commitlib.Request
	for i := range files {
		rows, err := column.New(schema)
		l.must(err)
		seq := commitlib.Seq(i + 1)
		l.must(rows.Col(iceberg.FieldLog).AppendBytes([]byte(log.String())))
		rows.Col(iceberg.FieldSequence).AppendInt64(int64(seq))
		rows.Col(iceberg.FieldPartition).AppendInt32(0)
		rows.Col(iceberg.FieldEventTime).AppendInt64(time.Now().UnixMicro())
		rows.Col(iceberg.FieldIngestTime).AppendInt64(time.Now().UnixMicro())
		rows.Col(iceberg.FieldIdempotencyKey).AppendNull()
		l.must(rows.Col(iceberg.FieldPayload).AppendBytes(fmt.Appendf(nil, `{"n":%d}`, i)))
		rows.Len = 1
		var body bytes.Buffer
		f, err := enc.Encode(&body, rows, nil)
		l.must(err)
		f.Path = fmt.Sprintf("%s/data/%s-%d-%d-0.parquet", table.Location, log, seq, seq)
		f.Partition = [][]byte{}
		key, _ := objstore.Key(store, f.Path)
		_, err = store.Put(t.Context(), key, body.Bytes(), objstore.Condition{Absent: true})
		l.must(err)
		reqs = append(reqs, &commitlib.Request{
			Version: commitlib.Protocol, Table: tableID, TableUUID: table.Metadata.TableUUID, Location: table.Location, Log: log,
			First: seq, Last: seq, SchemaHash: commitlib.SchemaHash(schema), SpecHash: commitlib.SpecHash(&spec), StagedAt: time.Now(),
			Files: []iceberg.DataFile{f},
		})
	}
	_, err = commitlib.New(l.cat, store, commitlib.Config{}).Commit(t.Context(), tableID, reqs)
	l.must(err)
	return l
}

func (l *lake) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

// files and rows are those that are live in the table.
func (l *lake) files() (files, rows int64) {
	l.t.Helper()
	t, err := l.cat.Load(context.Background(), tableID)
	l.must(err)
	list, err := live.List(context.Background(), l.store, t)
	l.must(err)
	l.must(live.Each(context.Background(), l.store, list, nil, func(f *live.File) error {
		files, rows = files+1, rows+f.RecordCount
		return nil
	}))
	return files, rows
}

// reply is an answer as it comes out.
type reply struct {
	DryRun         bool `json:"dry_run"`
	Tables, Errors int
	More           bool
	Reports        map[string][]struct {
		Task   string
		Report compact.Report
	}
}

func (l *lake) parse(text []byte) (r reply) {
	l.t.Helper()
	if err := json.Unmarshal(text, &r); err != nil {
		l.t.Fatalf("%v: %s", err, text)
	}
	if r.Tables != 1 || r.Errors != 0 || r.More {
		l.t.Fatalf("answered %s", text)
	}
	return r
}

func TestOnce(t *testing.T) {
	l := newLake(t, 12)
	var stdout, stderr bytes.Buffer
	if status := command([]string{"-once"}, []string{"FIRN_WAREHOUSE=" + l.dir}, &stdout, &stderr); status != 0 {
		t.Fatalf("status %d\n%s", status, stderr.String())
	}
	r := l.parse(stdout.Bytes())
	if rep := r.Reports[tableID.String()]; len(rep) != 1 || rep[0].Task != "compaction" || rep[0].Report.FilesIn != 12 || rep[0].Report.FilesOut != 1 {
		t.Errorf("printed %s", stdout.String())
	}
	if files, rows := l.files(); files != 1 || rows != 12 {
		t.Errorf("%d files with %d rows", files, rows)
	}
}

// The delivered program, as Lambda runs it.
func TestBootstrap(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "bootstrap")
	cmd := exec.Command("go", "build", "-trimpath", "-tags", "lambda.norpc,nethttpomithttp2", "-ldflags", "-s -w", "-o", bin, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	l := newLake(t, 12)
	f := runtimeapi.Start(t, bin, "FIRN_WAREHOUSE="+l.dir, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=512")
	invoke := func(event string) reply {
		t.Helper()
		got, err := f.Invoke(t.Context(), []byte(event), 30*time.Second)
		if err != nil || got.Failed {
			t.Fatalf("answered %s (%v)", got.Body, err)
		}
		return l.parse(got.Body)
	}
	if r := invoke(`{"maintain":{"dry_run":true}}`); !r.DryRun || r.Reports[tableID.String()][0].Report.Jobs != 1 {
		t.Errorf("dry run: %+v", r)
	}
	if files, _ := l.files(); files != 12 {
		t.Errorf("after a dry run there are %d files", files)
	}
	for _, event := range []string{`{"dry_run":true}`, `{"maintain":{},"dry_run":true}`, `{"maintain":{"dryrun":true}}`, `{}`} {
		if got, err := f.Invoke(t.Context(), []byte(event), 30*time.Second); err != nil || !got.Failed {
			t.Errorf("%s: answered %s (%v)", event, got.Body, err)
		}
	}
	if files, _ := l.files(); files != 12 {
		t.Errorf("after events that are none there are %d files", files)
	}
	if r := invoke(`{"version":"0","source":"aws.events","detail":{}}`); r.Reports[tableID.String()][0].Report.Jobs != 1 {
		t.Errorf("by a schedule: %+v", r)
	}
	if files, rows := l.files(); files != 1 || rows != 12 {
		t.Errorf("%d files with %d rows", files, rows)
	}
}

func TestSettings(t *testing.T) {
	f := func(once bool, want string, environ ...string) {
		t.Helper()
		s, err := settingsFrom(environ, once)
		if text := fmt.Sprint(err); !strings.Contains(text, want) {
			t.Errorf("%v: %+v, %v; want %q", environ, s, err, want)
		}
	}
	dir := "FIRN_WAREHOUSE=" + t.TempDir()
	f(true, "<nil>", dir, "FIRN_QUEUE=https://sqs.eu-central-1.amazonaws.com/1/q.fifo", "FIRN_NAMESPACES=default,other")
	f(false, "AWS_LAMBDA_RUNTIME_API", dir)
	f(true, "FIRN_NAMESPACE:", dir, "FIRN_NAMESPACE=x")
	f(true, "FIRN_NAMESPACES", dir, "FIRN_NAMESPACES=a, b")
	f(true, "give the function 512", dir, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=128")
	f(true, "FIRN_WAREHOUSE")
	var stdout, stderr bytes.Buffer
	if status := command([]string{"x"}, nil, &stdout, &stderr); status != 2 {
		t.Errorf("an argument: status %d", status)
	}
	if status := command([]string{"-once"}, nil, &stdout, &stderr); status != 1 || !strings.Contains(stderr.String(), "cannot start") {
		t.Errorf("without a warehouse: status %d, %s", status, stderr.String())
	}
}

// It pulls no cgo and nothing of the daemon, so that it is one file for either of Lambda's architectures.
func TestDependencies(t *testing.T) {
	cmd := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}} {{len .CgoFiles}}{{end}}", "-tags", "lambda.norpc,nethttpomithttp2", ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for line := range strings.Lines(string(out)) {
		path, cgo, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok {
			continue
		}
		seen++
		if cgo != "0" || strings.HasPrefix(path, "firn/ingestd") || strings.HasPrefix(path, "firn/perf") || path == "github.com/aws/aws-sdk-go-v2/config" {
			t.Errorf("the compactor pulls %s (%s cgo files)", path, cgo)
		}
	}
	if seen < 30 {
		t.Errorf("go list named %d packages: it looked at something else", seen)
	}
}

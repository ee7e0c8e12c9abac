package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/uuid"

	"firn/commitlib"
	"firn/commitlib/catalog"
	"firn/commitlib/catalog/objectstore"
	"firn/commitlib/column"
	"firn/commitlib/datafile"
	"firn/commitlib/iceberg"
	"firn/commitlib/objstore"
)

var tableID = catalog.Ident{Namespace: "default", Name: "clicks"}

// warehouse is a local warehouse with one empty table, and what a sender would stage there.
type warehouse struct {
	t     *testing.T
	dir   string
	store *objstore.Dir
	table *catalog.Table
	log   uuid.UUID
}

func newWarehouse(t *testing.T) *warehouse {
	t.Helper()
	w := &warehouse{t: t, dir: t.TempDir(), log: uuid.Must(uuid.NewV7())}
	var err error
	if w.store, err = objstore.OpenDir(w.dir); err != nil {
		t.Fatal(err)
	}
	w.table, err = w.catalog().Create(context.Background(), tableID, catalog.Spec{
		Schema:     iceberg.EventSchema(iceberg.String),
		Partition:  iceberg.PartitionSpec{ID: 0, Fields: []iceberg.PartitionField{}},
		Properties: commitlib.NewTableProperties(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// catalog is one that has seen nothing yet: what it loads is what lies in the store.
func (w *warehouse) catalog() *objectstore.Catalog {
	return objectstore.New(w.store, objectstore.Config{})
}

// request stages one data file with the events first to last and encodes the commit request for it.
func (w *warehouse) request(first, last commitlib.Seq) string {
	w.t.Helper()
	schema := w.table.Metadata.CurrentSchema()
	rows, err := column.New(schema)
	if err != nil {
		w.t.Fatal(err)
	}
	for seq := first; seq <= last; seq++ {
		at := time.Now().UnixMicro()
		rows.Col(iceberg.FieldSequence).AppendInt64(int64(seq))
		rows.Col(iceberg.FieldPartition).AppendInt32(0)
		rows.Col(iceberg.FieldEventTime).AppendInt64(at)
		rows.Col(iceberg.FieldIngestTime).AppendInt64(at)
		rows.Col(iceberg.FieldIdempotencyKey).AppendNull()
		for id, text := range map[int]string{iceberg.FieldLog: w.log.String(), iceberg.FieldPayload: fmt.Sprintf(`{"n":%d}`, seq)} {
			if err := rows.Col(id).AppendBytes([]byte(text)); err != nil {
				w.t.Fatal(err)
			}
		}
		rows.Len++
	}
	enc, err := datafile.NewEncoder(schema, datafile.Default())
	if err != nil {
		w.t.Fatal(err)
	}
	var parquet bytes.Buffer
	file, err := enc.Encode(&parquet, rows, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	file.Path = fmt.Sprintf("%s/data/%s-%d-%d.parquet", w.table.Location, w.log, first, last)
	key, ok := objstore.Key(w.store, file.Path)
	if !ok {
		w.t.Fatalf("%s lies outside the store", file.Path)
	}
	if _, err := w.store.Put(context.Background(), key, parquet.Bytes(), objstore.Condition{Absent: true}); err != nil {
		w.t.Fatal(err)
	}
	spec := w.table.Metadata.DefaultSpec()
	body, err := commitlib.Encode(&commitlib.Request{
		Version: commitlib.Protocol, Table: tableID, TableUUID: w.table.Metadata.TableUUID, Location: w.table.Location,
		Log: w.log, First: first, Last: last,
		SchemaID: schema.ID, SchemaHash: commitlib.SchemaHash(schema), SpecID: spec.ID, SpecHash: commitlib.SpecHash(&spec),
		StagedAt: time.Now(), Files: []iceberg.DataFile{file},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return string(body)
}

// state is the watermark and the number of rows that the table's current snapshot states.
func (w *warehouse) state() (watermark commitlib.Seq, rows string) {
	w.t.Helper()
	table, err := w.catalog().Load(context.Background(), tableID)
	if err != nil {
		w.t.Fatal(err)
	}
	watermark, err = commitlib.ReadWatermark(context.Background(), w.store, table, w.log)
	if err != nil {
		w.t.Fatal(err)
	}
	if s := table.Metadata.CurrentSnapshot(); s != nil {
		rows = s.Summary["total-records"]
	}
	return watermark, rows
}

// batch is an event as the queue's event source sends it.
func batch(t *testing.T, group string, bodies map[string]string, order ...string) []byte {
	t.Helper()
	var e events.SQSEvent
	for _, id := range order {
		e.Records = append(e.Records, events.SQSMessage{MessageId: id, Body: bodies[id], EventSource: "aws:sqs", Attributes: map[string]string{"MessageGroupId": group}})
	}
	data, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// The delivered program commits a real request, answers as the event source wants, and outlives what is no request.
func TestBootstrapCommits(t *testing.T) {
	w := newWarehouse(t)
	api := newRuntimeAPI(t)
	p := start(t, "AWS_LAMBDA_RUNTIME_API="+api.url, "FIRN_WAREHOUSE="+w.dir)

	// f invokes with the bodies in the order given, and wants the answer, watermark and rows.
	f := func(name string, order []string, bodies map[string]string, want string, watermark commitlib.Seq, rows string) time.Time {
		t.Helper()
		got := api.invoke(t, name, batch(t, tableID.String(), bodies, order...))
		if got.failed || string(got.body) != want {
			t.Errorf("%s: answered %s (error: %v), want %s", name, got.body, got.failed, want)
		}
		if mark, n := w.state(); mark != watermark || n != rows {
			t.Errorf("%s: watermark %d and %s rows, want %d and %s", name, mark, n, watermark, rows)
		}
		return got.at
	}
	const none = `{"batchItemFailures":[]}`
	one, two, three := w.request(1, 10), w.request(11, 15), w.request(16, 20)

	first := f("one request", []string{"m1"}, map[string]string{"m1": one}, none, 10, "10")
	t.Logf("first answer %v after the process started, a commit included", first.Sub(p.started).Round(100*time.Microsecond))

	f("delivered again", []string{"m2"}, map[string]string{"m2": one}, none, 10, "10")
	f("two requests, one of them twice", []string{"m3", "m4", "m5"}, map[string]string{"m3": two, "m4": two, "m5": three}, none, 20, "20")
	f("a gap is dropped", []string{"m6"}, map[string]string{"m6": w.request(31, 40)}, none, 20, "20")
	f("no request at all", []string{"m7", "m8", "m9"}, map[string]string{"m7": "{", "m8": "", "m9": `{"version":99}`}, none, 20, "20")
	f("and one behind it", []string{"m10", "m11"}, map[string]string{"m10": "junk", "m11": w.request(21, 21)}, none, 21, "21")
	f("an empty batch", nil, nil, none, 21, "21")
}

// A warehouse that can't be read is neither a success nor a rejection: the messages come again, and are committed then.
func TestBootstrapReturnsWhatItCouldNotDecide(t *testing.T) {
	w := newWarehouse(t)
	api := newRuntimeAPI(t)
	start(t, "AWS_LAMBDA_RUNTIME_API="+api.url, "FIRN_WAREHOUSE="+w.dir)
	bodies := map[string]string{"m1": w.request(1, 5), "m2": w.request(6, 9)}

	// A link to itself: whoever looks through it gets an error that says neither yes nor no, root included.
	metadata := filepath.Join(strings.TrimPrefix(w.table.Location, "file://"), "metadata")
	if err := os.Rename(metadata, metadata+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("metadata", metadata); err != nil {
		t.Fatal(err)
	}
	got := api.invoke(t, "broken store", batch(t, tableID.String(), bodies, "m1", "m2"))
	if want := `{"batchItemFailures":[{"itemIdentifier":"m1"},{"itemIdentifier":"m2"}]}`; got.failed || string(got.body) != want {
		t.Errorf("with a broken store: answered %s (error: %v), want %s", got.body, got.failed, want)
	}

	if err := os.Remove(metadata); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(metadata+".away", metadata); err != nil {
		t.Fatal(err)
	}
	got = api.invoke(t, "healed store", batch(t, tableID.String(), bodies, "m1", "m2"))
	if want := `{"batchItemFailures":[]}`; got.failed || string(got.body) != want {
		t.Errorf("with the store healed: answered %s (error: %v), want %s", got.body, got.failed, want)
	}
	if mark, rows := w.state(); mark != 9 || rows != "9" {
		t.Errorf("watermark %d and %s rows, want 9 and 9", mark, rows)
	}
}

// A wrong configuration ends the process at once, with all that is wrong in one JSON line.
func TestBootstrapRefusesWrongConfiguration(t *testing.T) {
	f := func(want string, env ...string) {
		t.Helper()
		p := start(t, append(env, "AWS_LAMBDA_RUNTIME_API=127.0.0.1:1")...)
		if err := p.wait(); err == nil {
			t.Errorf("%v: exited 0", env)
		}
		var line struct{ Level, Msg, Error string }
		if err := json.Unmarshal(p.stderr.Bytes(), &line); err != nil {
			t.Errorf("%v: logged %q: %v", env, p.stderr, err)
		}
		if line.Level != "ERROR" || !strings.Contains(line.Error, want) {
			t.Errorf("%v: logged %+v, want an error that says %q", env, line, want)
		}
	}
	f("FIRN_WAREHOUSE is not set")
	f("mounted folder only", "FIRN_WAREHOUSE=s3://bucket/prefix")
	f("mount the volume", "FIRN_WAREHOUSE="+filepath.Join(t.TempDir(), "missing"))
}

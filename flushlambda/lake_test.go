package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/uuid"

	"firn/commitlib"
	"firn/commitlib/catalog"
	"firn/commitlib/column"
	"firn/commitlib/datafile"
	"firn/commitlib/iceberg"
	"firn/commitlib/objstore"
	"firn/commitlib/warehouse"
	"firn/perf/peer/runtimeapi"
)

var tableID = catalog.Ident{Namespace: "default", Name: "clicks"}

func silent() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// lake is a warehouse with one empty table, and what a sender would stage there.
type lake struct {
	t     testing.TB
	env   []string // of a process that commits to it
	store objstore.Store
	table *catalog.Table
	log   uuid.UUID
}

// newLake makes the table, without partitions, in the warehouse that env names.
func newLake(t testing.TB, env ...string) *lake {
	t.Helper()
	return newLakeOf(t, catalog.Spec{
		Schema:     iceberg.EventSchema(iceberg.String),
		Partition:  iceberg.PartitionSpec{ID: 0, Fields: []iceberg.PartitionField{}},
		Properties: commitlib.NewTableProperties(),
	}, env...)
}

func newLakeOf(t testing.TB, spec catalog.Spec, env ...string) *lake {
	t.Helper()
	l := &lake{t: t, env: env, log: uuid.Must(uuid.NewV7())}
	w := l.open()
	l.store = w.Store
	var err error
	l.table, err = w.Catalog.Create(context.Background(), tableID, spec)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// dirLake is a lake in a local directory.
func dirLake(t testing.TB) *lake {
	t.Helper()
	return newLake(t, "FIRN_WAREHOUSE="+t.TempDir())
}

// open returns a client that has seen nothing yet: what it loads is what lies in the store.
func (l *lake) open() *warehouse.Warehouse {
	l.t.Helper()
	s, err := settingsFrom(l.env, false)
	if err != nil && !strings.Contains(err.Error(), "AWS_LAMBDA_RUNTIME_API") {
		l.t.Fatal(err)
	}
	s.Logger = silent()
	w, err := warehouse.Open(context.Background(), s.Settings)
	if err != nil {
		l.t.Fatal(err)
	}
	return w
}

// start runs the built function on the lake.
func (l *lake) start(env ...string) *runtimeapi.Function {
	l.t.Helper()
	return runtimeapi.Start(l.t, bootstrap(l.t), append(l.env[:len(l.env):len(l.env)], env...)...)
}

// request stages one data file with the events first to last of the lake's log, and encodes the commit request for it.
func (l *lake) request(first, last commitlib.Seq) string { return l.requestOf(l.log, first, last) }

func (l *lake) requestOf(log uuid.UUID, first, last commitlib.Seq) string {
	l.t.Helper()
	schema := l.table.Metadata.CurrentSchema()
	rows, err := column.New(schema)
	if err != nil {
		l.t.Fatal(err)
	}
	for seq := first; seq <= last; seq++ {
		at := time.Now().UnixMicro()
		rows.Col(iceberg.FieldSequence).AppendInt64(int64(seq))
		rows.Col(iceberg.FieldPartition).AppendInt32(0)
		rows.Col(iceberg.FieldEventTime).AppendInt64(at)
		rows.Col(iceberg.FieldIngestTime).AppendInt64(at)
		rows.Col(iceberg.FieldIdempotencyKey).AppendNull()
		for id, text := range map[int]string{iceberg.FieldLog: log.String(), iceberg.FieldPayload: fmt.Sprintf(`{"n":%d}`, seq)} {
			if err := rows.Col(id).AppendBytes([]byte(text)); err != nil {
				l.t.Fatal(err)
			}
		}
		rows.Len++
	}
	enc, err := datafile.NewEncoder(schema, datafile.Default())
	if err != nil {
		l.t.Fatal(err)
	}
	var parquet bytes.Buffer
	file, err := enc.Encode(&parquet, rows, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	file.Path = fmt.Sprintf("%s/data/%s-%d-%d.parquet", l.table.Location, log, first, last)
	key, ok := objstore.Key(l.store, file.Path)
	if !ok {
		l.t.Fatalf("%s lies outside the store", file.Path)
	}
	if _, err := l.store.Put(context.Background(), key, parquet.Bytes(), objstore.Condition{Absent: true}); err != nil {
		l.t.Fatal(err)
	}
	spec := l.table.Metadata.DefaultSpec()
	body, err := commitlib.Encode(&commitlib.Request{
		Version: commitlib.Protocol, Table: tableID, TableUUID: l.table.Metadata.TableUUID, Location: l.table.Location,
		Log: log, First: first, Last: last,
		SchemaID: schema.ID, SchemaHash: commitlib.SchemaHash(schema), SpecID: spec.ID, SpecHash: commitlib.SpecHash(&spec),
		StagedAt: time.Now(), Files: []iceberg.DataFile{file},
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return string(body)
}

// state is the watermark of the lake's log and the number of rows that the table's current snapshot states.
func (l *lake) state() (watermark commitlib.Seq, rows string) {
	l.t.Helper()
	return l.stateOf(l.log)
}

func (l *lake) stateOf(log uuid.UUID) (watermark commitlib.Seq, rows string) {
	l.t.Helper()
	table := l.load()
	watermark, err := commitlib.ReadWatermark(context.Background(), l.store, table, log)
	if err != nil {
		l.t.Fatal(err)
	}
	if s := table.Metadata.CurrentSnapshot(); s != nil {
		rows = s.Summary["total-records"]
	}
	return watermark, rows
}

func (l *lake) load() *catalog.Table {
	l.t.Helper()
	table, err := l.open().Catalog.Load(context.Background(), tableID)
	if err != nil {
		l.t.Fatal(err)
	}
	return table
}

// batch is an event as the queue's event source sends it.
func batch(t testing.TB, group string, bodies map[string]string, order ...string) []byte {
	t.Helper()
	var e events.SQSEvent
	for _, id := range order {
		e.Records = append(e.Records, events.SQSMessage{
			MessageId: id, Body: bodies[id], EventSource: "aws:sqs", Attributes: map[string]string{"MessageGroupId": group},
		})
	}
	data, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// invoke hands the function a batch and returns its answer.
func invoke(t testing.TB, f *runtimeapi.Function, event []byte) runtimeapi.Answer {
	t.Helper()
	got, err := f.Invoke(context.Background(), event, 30*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// nothingAgain is the answer that all is done with.
const nothingAgain = `{"batchItemFailures":[]}`

package glue_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"firn/commitlib"
	"firn/commitlib/catalog"
	"firn/commitlib/column"
	"firn/commitlib/datafile"
	"firn/commitlib/iceberg"
	"firn/commitlib/manifest"
	"firn/commitlib/objstore"
)

// sender is one log of a table: it stages segments and asks for their commit, one after the other.
type sender struct {
	t     *testing.T
	store objstore.Store
	table *catalog.Table // as it was when the sender began
	log   uuid.UUID
	last  commitlib.Seq
}

func newSender(t *testing.T, store objstore.Store, table *catalog.Table) *sender {
	t.Helper()
	log, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	return &sender{t: t, store: store, table: table, log: log}
}

// eventTime is that of all events.
var eventTime = time.Date(2026, 11, 23, 6, 0, 0, 0, time.UTC)

// stage writes the next so many events as a data file, and returns the request to commit it.
func (s *sender) stage(rows int) *commitlib.Request {
	s.t.Helper()
	first := s.last + 1
	s.last += commitlib.Seq(rows)
	schema, spec := s.table.Metadata.CurrentSchema(), s.table.Metadata.DefaultSpec()
	batch, err := column.New(schema)
	if err != nil {
		s.t.Fatal(err)
	}
	for seq := first; seq <= s.last; seq++ {
		batch.Col(iceberg.FieldSequence).AppendInt64(int64(seq))
		batch.Col(iceberg.FieldPartition).AppendInt32(0)
		batch.Col(iceberg.FieldEventTime).AppendInt64(eventTime.UnixMicro())
		batch.Col(iceberg.FieldIngestTime).AppendInt64(eventTime.UnixMicro())
		batch.Col(iceberg.FieldIdempotencyKey).AppendNull()
		err = errors.Join(batch.Col(iceberg.FieldLog).AppendBytes([]byte(s.log.String())), batch.Col(iceberg.FieldPayload).AppendBytes([]byte("ours")))
		if err != nil {
			s.t.Fatal(err)
		}
		batch.Len++
	}
	encoder, err := datafile.NewEncoder(schema, datafile.Default())
	if err != nil {
		s.t.Fatal(err)
	}
	var body bytes.Buffer
	file, err := encoder.Encode(&body, batch, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	file.Path = fmt.Sprintf("%s/data/%s-%d-%d.parquet", s.table.Location, s.log, first, s.last)
	if len(spec.Fields) > 0 {
		file.Partition = [][]byte{iceberg.EncodeInt(int32(eventTime.Unix() / 3600))}
	}
	key, _ := objstore.Key(s.store, file.Path)
	if _, err := s.store.Put(s.t.Context(), key, body.Bytes(), objstore.Condition{Absent: true}); err != nil {
		s.t.Fatal(err)
	}
	return &commitlib.Request{
		Version: commitlib.Protocol, Table: s.table.Ident, TableUUID: s.table.Metadata.TableUUID, Location: s.table.Location, Log: s.log,
		First: first, Last: s.last, SchemaID: schema.ID, SchemaHash: commitlib.SchemaHash(schema), SpecID: spec.ID, SpecHash: commitlib.SpecHash(&spec),
		StagedAt: time.Now(), Files: []iceberg.DataFile{file},
	}
}

// commit has a committer try until the request is in.
func commit(t *testing.T, c *commitlib.Committer, r *commitlib.Request) {
	t.Helper()
	for try := 1; ; try++ {
		results, err := c.Commit(t.Context(), r.Table, []*commitlib.Request{r})
		switch {
		case err == nil && (results[0].Outcome == commitlib.Applied || results[0].Outcome == commitlib.Skipped):
			return
		case results[0].Outcome != commitlib.Undecided || try == 20:
			t.Errorf("request [%d, %d] of log %s: %s: %s; %v", r.First, r.Last, r.Log, results[0].Outcome, results[0].Reason, err)
			return
		}
	}
}

// committer is one that nothing is shared with, as another process has it.
func committer(c catalog.Catalog, store objstore.Store) *commitlib.Committer {
	return commitlib.New(c, store, commitlib.Config{BackoffMin: time.Millisecond, BackoffMax: 50 * time.Millisecond, MaxAttempts: 50})
}

// filesOf reads which data files a table's current snapshot holds, and fails where one is held twice or is not there.
func filesOf(t *testing.T, store objstore.Store, table *catalog.Table) map[string]int64 {
	t.Helper()
	read := func(location string) []byte {
		key, _ := objstore.Key(store, location)
		body, _, err := store.Get(context.Background(), key)
		if err != nil {
			t.Fatalf("%s: %v", location, err)
		}
		return body
	}
	files := map[string]int64{}
	head := table.Metadata.CurrentSnapshot()
	if head == nil {
		return files
	}
	list, err := manifest.ReadList(read(head.ManifestList))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range list {
		_, entries, err := manifest.Read(read(m.Path))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if _, twice := files[e.File.Path]; twice {
				t.Errorf("%s is in the table twice", e.File.Path)
			}
			files[e.File.Path] = e.File.RecordCount
			read(e.File.Path)
		}
	}
	return files
}

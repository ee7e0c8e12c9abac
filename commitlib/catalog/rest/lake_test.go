package rest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/uuid"

	"firn/commitlib"
	"firn/commitlib/awsenv"
	"firn/commitlib/catalog"
	"firn/commitlib/catalog/rest"
	"firn/commitlib/column"
	"firn/commitlib/datafile"
	"firn/commitlib/iceberg"
	"firn/commitlib/objstore"
	"firn/commitlib/objstore/s3store"
	"firn/perf/peer"
)

// user is a committer of its own: a client of the catalog, and a store that has no credentials but those that the
// catalog gives.
type user struct {
	*rest.Catalog
	store     *s3store.Store
	committer *commitlib.Committer
}

func newUser(t *testing.T, server *peer.RESTServer, cfg commitlib.Config) *user {
	t.Helper()
	return newUserWith(t, server, nil, cfg)
}

// newKeyed is a committer with the store's own credentials, for a catalog that gives none.
func newKeyed(t *testing.T, server *peer.RESTServer, cfg commitlib.Config) *user {
	t.Helper()
	return newUserWith(t, server, aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: server.S3.AccessKey, SecretAccessKey: server.S3.SecretKey}, nil
	}), cfg)
}

func newUserWith(t *testing.T, server *peer.RESTServer, own aws.CredentialsProvider, cfg commitlib.Config) *user {
	t.Helper()
	c := newCatalog(t, rest.Config{URI: server.URI, Root: server.Warehouse})
	store, err := s3store.New(s3store.Config{
		AWS: aws.Config{Region: server.S3.Region, HTTPClient: awsenv.Client(), Credentials: own}, Root: server.Warehouse,
		Endpoint: server.S3.Endpoint, PathStyle: true, Credentials: c.Credentials,
	})
	if err != nil {
		t.Fatal(err)
	}
	return &user{c, store, commitlib.New(c, store, cfg)}
}

// newTable makes the table that the events of a lake go to.
func (u *user) newTable(t *testing.T) *catalog.Table {
	t.Helper()
	spec, err := iceberg.EventSpec(nil)
	if err != nil {
		t.Fatal(err)
	}
	table, err := u.Create(t.Context(), clicks, catalog.Spec{Schema: iceberg.EventSchema(iceberg.String), Partition: spec, Properties: commitlib.NewTableProperties()})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// stage writes a data file with the events first to last of a log, and returns the request to commit them.
func (u *user) stage(t *testing.T, table *catalog.Table, log uuid.UUID, first, last int64) *commitlib.Request {
	t.Helper()
	schema, spec := table.Metadata.Schema(0), table.Metadata.DefaultSpec()
	b := must(column.New(schema))
	for seq := first; seq <= last; seq++ {
		at := time.Date(2026, 11, 23, 6, 0, int(seq%60), 0, time.UTC).UnixMicro()
		for _, text := range []struct {
			id   int
			text string
		}{{iceberg.FieldLog, log.String()}, {iceberg.FieldPayload, "ours"}} {
			if err := b.Col(text.id).AppendBytes([]byte(text.text)); err != nil {
				t.Fatal(err)
			}
		}
		b.Col(iceberg.FieldSequence).AppendInt64(seq)
		b.Col(iceberg.FieldPartition).AppendInt32(0)
		b.Col(iceberg.FieldEventTime).AppendInt64(at)
		b.Col(iceberg.FieldIngestTime).AppendInt64(at)
		b.Col(iceberg.FieldIdempotencyKey).AppendNull()
		b.Len++
	}
	groups := must(datafile.Split(b, spec))
	if len(groups) != 1 {
		t.Fatalf("%d groups", len(groups))
	}
	var buf bytes.Buffer
	f := must(must(datafile.NewEncoder(schema, datafile.Default())).Encode(&buf, b, groups[0].Rows))
	prefix, ok := objstore.Key(u.store, table.Location)
	if !ok {
		t.Fatalf("%s lies outside %s", table.Location, u.store.Root())
	}
	key := fmt.Sprintf("%s/data/%s-%d-%d.parquet", prefix, log, first, last)
	if _, err := u.store.Put(t.Context(), key, buf.Bytes(), objstore.Condition{Absent: true}); err != nil {
		t.Fatal(err)
	}
	f.Path, f.Partition = objstore.Location(u.store, key), groups[0].Partition
	return &commitlib.Request{
		Version: commitlib.Protocol, Table: table.Ident, TableUUID: table.Metadata.TableUUID, Location: table.Location, Log: log,
		First: commitlib.Seq(first), Last: commitlib.Seq(last), SchemaID: schema.ID, SchemaHash: commitlib.SchemaHash(schema),
		SpecID: spec.ID, SpecHash: commitlib.SpecHash(&spec), StagedAt: time.Now(), Files: []iceberg.DataFile{f},
	}
}

// neighbour is PyIceberg on the same table.
func neighbour(t *testing.T, server *peer.RESTServer, args ...string) *exec.Cmd {
	t.Helper()
	python := os.Getenv("FIRN_PYTHON")
	if python == "" {
		python = filepath.Join(peer.Root(), ".venv", "bin", "python")
	}
	if _, err := exec.LookPath(python); err != nil {
		t.Fatalf("no Python with PyIceberg: run `make venv`, or set FIRN_PYTHON: %v", err)
	}
	cmd := exec.CommandContext(t.Context(), python, append([]string{"-B", "testdata/neighbour.py"}, args...)...)
	cmd.Env = append(peer.CleanEnv(), "URI="+server.URI, "TABLE="+clicks.String(),
		"S3="+server.S3.Endpoint, "S3_KEY="+server.S3.AccessKey, "S3_SECRET="+server.S3.SecretKey)
	cmd.Stderr = os.Stderr
	return cmd
}

// run runs it to its end, and decodes what it printed.
func run(t *testing.T, cmd *exec.Cmd, out any) {
	t.Helper()
	text, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(text, out)
	}
	if err != nil {
		t.Errorf("PyIceberg: %v: %s", err, text)
	}
}

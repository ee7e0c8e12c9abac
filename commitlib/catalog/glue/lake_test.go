package glue_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"firn/commitlib/catalog"
	"firn/commitlib/catalog/glue"
	"firn/commitlib/catalog/twin"
	"firn/commitlib/iceberg"
	"firn/commitlib/objstore"
	"firn/commitlib/objstore/s3store"
	"firn/perf/peer"
	"firn/perf/tier"
)

// lake is a Glue account of ministack's and a bucket of versitygw's, and a catalog of ours on them.
type lake struct {
	*testing.T
	glue    *peer.AWSServer
	proxy   *peer.FaultProxy // before our own catalog alone
	account keys
	store   objstore.Store
	ours    *glue.Catalog
	env     []string // says to the other users' programs where all this is
}

func newLake(t *testing.T) *lake {
	t.Helper()
	tier.Need(t, tier.CI)
	l := &lake{T: t, glue: peer.AWS(t), account: newAccount()}
	l.proxy = peer.Proxy(t, l.glue.Endpoint)
	s3 := peer.S3(t)
	cfg := config(t, l.proxy.URL, l.account, nil)
	s3cfg := cfg.AWS
	s3cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: s3.AccessKey, SecretAccessKey: s3.SecretKey}, nil
	})
	store, err := s3store.New(s3store.Config{AWS: s3cfg, Root: s3.Root() + "/lake", Endpoint: s3.Endpoint, PathStyle: true})
	if err != nil {
		t.Fatal(err)
	}
	l.store, cfg.Store = store, store
	l.ours = open(t, cfg)
	l.env = []string{
		"GLUE=" + l.glue.Endpoint, "ACCOUNT=" + string(l.account), "WAREHOUSE=" + store.Root(),
		"S3=" + s3.Endpoint, "S3_KEY=" + s3.AccessKey, "S3_SECRET=" + s3.SecretKey,
	}
	return l
}

// rawEntry reads an entry as the service has it, by other means than the code under test; what the service makes by
// itself is left out.
func (l *lake) rawEntry(op string, in map[string]any) map[string]any {
	l.Helper()
	text, err := callRaw(l.glue.Endpoint, l.account, op, in)
	if err != nil {
		l.Fatal(err)
	}
	var out map[string]map[string]any
	if err := json.Unmarshal(text, &out); err != nil {
		l.Fatal(err)
	}
	for _, e := range out {
		for _, own := range []string{"VersionId", "CreateTime", "UpdateTime", "LastAccessTime", "CatalogId"} {
			delete(e, own)
		}
		return e
	}
	return nil
}

func (l *lake) rawTable(id catalog.Ident) map[string]any {
	l.Helper()
	return l.rawEntry("GetTable", map[string]any{"DatabaseName": id.Namespace, "Name": id.Name})
}

// rawDatabase reads a database, with its own name taken out of all texts.
func (l *lake) rawDatabase(name string) map[string]any {
	l.Helper()
	return rename(l.rawEntry("GetDatabase", map[string]any{"Name": name}), name)
}

func (l *lake) create(id catalog.Ident, schema *iceberg.Schema) {
	l.Helper()
	if _, err := l.ours.Create(l.Context(), id, catalog.Spec{Schema: schema}); err != nil {
		l.Fatal(err)
	}
}

func (l *lake) load(id catalog.Ident) *catalog.Table {
	l.Helper()
	table, err := l.ours.Load(l.Context(), id)
	if err != nil {
		l.Fatal(err)
	}
	return table
}

// swap makes any change of a table's metadata through our catalog.
func (l *lake) swap(id catalog.Ident, change func(base *catalog.Table) (*iceberg.Metadata, error)) {
	l.Helper()
	base := l.load(id)
	if _, err := l.ours.SwapMetadata(l.Context(), base, func(*iceberg.Metadata) (*iceberg.Metadata, error) { return change(base) }); err != nil {
		l.Fatal(err)
	}
}

// append commits a snapshot with one data file of so many rows, which nobody reads, through our catalog.
func (l *lake) append(id catalog.Ident, rows int64) {
	l.Helper()
	f := twin.Foreign{Catalog: l.ours, Store: l.store, Now: time.Now, NewID: func() int64 { return time.Now().UnixNano() }}
	path, size := l.stage(id)
	if _, err := f.Append(l.Context(), id, iceberg.DataFile{Path: path, RecordCount: rows, FileSizeInBytes: size}); err != nil {
		l.Fatal(err)
	}
}

// stage puts a file where a table's data lie.
func (l *lake) stage(id catalog.Ident) (path string, size int64) {
	l.Helper()
	path = l.load(id).Location + "/data/" + time.Now().Format("150405.000000000") + ".parquet"
	key, _ := objstore.Key(l.store, path)
	if _, err := l.store.Put(l.Context(), key, []byte("PAR1"), objstore.Condition{}); err != nil {
		l.Fatal(err)
	}
	return path, 4
}

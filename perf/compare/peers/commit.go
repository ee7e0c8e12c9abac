package main

import (
	"context"
	stdsql "database/sql"
	"fmt"
	"os"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/catalog/rest"
	"github.com/apache/iceberg-go/catalog/sql"
	_ "github.com/apache/iceberg-go/io/gocloud/s3" // registers the scheme s3
	"github.com/apache/iceberg-go/table"
	"github.com/uptrace/bun/driver/sqliteshim"
)

// hourField is the id of the only partition field of Firn's tables here.
const hourField = 1000

// committer appends with iceberg-go: to a table that it keeps loaded, from files whose statistics are known, without
// looking for duplicates. It is the least that it can be asked to do.
func committer(ctx context.Context, kind, place, namespace, name string) (func(job) (answer, error), error) {
	props := iceberg.Properties{
		"s3.endpoint": os.Getenv("AWS_ENDPOINT_URL_S3"), "s3.region": os.Getenv("AWS_REGION"),
		"s3.access-key-id": os.Getenv("AWS_ACCESS_KEY_ID"), "s3.secret-access-key": os.Getenv("AWS_SECRET_ACCESS_KEY"),
	}
	var catalog interface {
		LoadTable(context.Context, table.Identifier) (*table.Table, error)
	}
	switch kind {
	case "rest":
		c, err := rest.NewCatalog(ctx, "rest", place, rest.WithAdditionalProps(props))
		if err != nil {
			return nil, err
		}
		catalog = c
	case "sql":
		db, err := stdsql.Open(sqliteshim.ShimName, "file:"+place)
		if err != nil {
			return nil, err
		}
		c, err := sql.NewCatalog("sql", db, sql.SQLite, props)
		if err != nil {
			return nil, err
		}
		catalog = c
	default:
		return nil, fmt.Errorf("no kind of catalog %q", kind)
	}
	t, err := catalog.LoadTable(ctx, table.Identifier{namespace, name})
	if err != nil {
		return nil, fmt.Errorf("load table: %w", err)
	}
	return func(j job) (answer, error) {
		files := make([]iceberg.DataFile, len(j.Files))
		for i, f := range j.Files {
			b, err := iceberg.NewDataFileBuilder(t.Spec(), iceberg.EntryContentData, f.Path, iceberg.ParquetFile,
				map[int]any{hourField: f.Hour}, nil, nil, f.Records, f.Size)
			if err != nil {
				return answer{}, err
			}
			files[i] = b.ColumnSizes(f.ColumnSizes).ValueCounts(f.Values).NullValueCounts(f.Nulls).
				LowerBoundValues(f.Lower).UpperBoundValues(f.Upper).SplitOffsets([]int64{4}).Build()
		}
		return timed(func() error {
			tx := t.NewTransaction()
			if err := tx.AddDataFiles(ctx, files, nil, table.WithoutAutoNameMapping(), table.WithoutDuplicateCheck()); err != nil {
				return fmt.Errorf("add files: %w", err)
			}
			next, err := tx.Commit(ctx)
			if err != nil {
				return fmt.Errorf("commit: %w", err)
			}
			t = next
			return nil
		})
	}, nil
}

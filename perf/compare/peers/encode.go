package main

import (
	"bytes"
	"context"
	"fmt"
	"os"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
)

// encoder writes with arrow-go, from an Arrow table in memory to one row group in memory. Columns without repetition get
// no dictionary: trying one would cost it time for nothing.
func encoder(ctx context.Context, path string) (func(job) (answer, error), error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rows, err := pqarrow.ReadTable(ctx, f, parquet.NewReaderProperties(memory.DefaultAllocator), pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	props := parquet.NewWriterProperties(parquet.WithCompression(compress.Codecs.Zstd), parquet.WithCompressionLevel(1),
		parquet.WithDictionaryFor("payload", false), parquet.WithDictionaryFor("sequence", false))
	var file bytes.Buffer
	return func(j job) (answer, error) {
		a, err := timed(func() error {
			file.Reset()
			return pqarrow.WriteTable(rows, &file, rows.NumRows(), props, pqarrow.DefaultWriterProps())
		})
		a.Bytes = file.Len()
		if err == nil && j.To != "" {
			err = os.WriteFile(j.To, file.Bytes(), 0o644)
		}
		return a, err
	}, nil
}

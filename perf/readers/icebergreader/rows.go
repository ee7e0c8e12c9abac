package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/iceberg-go/table"
)

// row is a line of the dump.
type row struct {
	Log            string  `json:"log"`
	Sequence       int64   `json:"sequence"`
	Partition      int32   `json:"partition"`
	EventTime      int64   `json:"event_time"`
	IngestTime     int64   `json:"ingest_time"`
	IdempotencyKey *string `json:"idempotency_key"` // hex
	Payload        string  `json:"payload"`         // hex
}

// dump writes every row to a file as NDJSON.
func dump(ctx context.Context, t *table.Table, name string) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("create dump: %w", err)
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}()
	w := bufio.NewWriterSize(f, 1<<20)
	out := json.NewEncoder(w)

	_, records, err := t.Scan().ToArrowRecords(ctx)
	if err != nil {
		return fmt.Errorf("scan: %w", err)
	}
	for r, err := range records {
		if err != nil {
			return fmt.Errorf("read records: %w", err)
		}
		if err := encode(out, r); err != nil {
			return err
		}
		r.Release()
	}
	return w.Flush()
}

func encode(out *json.Encoder, r arrow.RecordBatch) error {
	if r.NumCols() != 7 {
		return fmt.Errorf("record has %d columns, want 7", r.NumCols())
	}
	for i := range int(r.NumRows()) {
		var o row
		key, hasKey := hex(r.Column(5), i)
		payload, ok := hex(r.Column(6), i)
		if !ok {
			return fmt.Errorf("payload of row %d is null or %s", i, r.Column(6).DataType())
		}
		log, ok := r.Column(0).(*array.String)
		if !ok {
			return fmt.Errorf("log is read as %s", r.Column(0).DataType())
		}
		sequence, ok := r.Column(1).(*array.Int64)
		if !ok {
			return fmt.Errorf("sequence is read as %s", r.Column(1).DataType())
		}
		partition, ok := r.Column(2).(*array.Int32)
		if !ok {
			return fmt.Errorf("partition is read as %s", r.Column(2).DataType())
		}
		o.Log, o.Sequence, o.Partition, o.Payload = log.Value(i), sequence.Value(i), partition.Value(i), payload
		for c, dst := range map[int]*int64{3: &o.EventTime, 4: &o.IngestTime} {
			ts, ok := r.Column(c).(*array.Timestamp)
			if !ok || !arrow.TypeEqual(ts.DataType(), arrow.FixedWidthTypes.Timestamp_us) {
				return fmt.Errorf("column %d is read as %s, want microseconds in UTC", c, r.Column(c).DataType())
			}
			*dst = int64(ts.Value(i))
		}
		if hasKey {
			o.IdempotencyKey = &key
		}
		if err := out.Encode(&o); err != nil {
			return fmt.Errorf("write dump: %w", err)
		}
	}
	return nil
}

// hex is a string's or binary's bytes; ok is false for null and for any other type.
func hex(a arrow.Array, i int) (s string, ok bool) {
	if a.IsNull(i) {
		return "", false
	}
	switch a := a.(type) {
	case *array.String:
		return fmt.Sprintf("%X", a.Value(i)), true
	case *array.LargeString:
		return fmt.Sprintf("%X", a.Value(i)), true
	case *array.Binary:
		return fmt.Sprintf("%X", a.Value(i)), true
	case *array.LargeBinary:
		return fmt.Sprintf("%X", a.Value(i)), true
	}
	return "", false
}

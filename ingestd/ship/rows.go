package ship

import (
	"fmt"
	"slices"

	"github.com/google/uuid"

	"firn/commitlib"
	"firn/commitlib/column"
	"firn/commitlib/datafile"
	"firn/commitlib/iceberg"
	"firn/ingestd/eventlog"
)

// rows turns a segment's events into rows of its table, reusing its memory from segment to segment. The columns of the
// table that the log does not store are derived from the events' place in it: log, sequence and ingest time.
type rows struct {
	schema *iceberg.Schema
	batch  *column.Batch
	first  eventlog.Seq
	next   eventlog.Seq
	one    column.Vector // a value for a whole run of events
}

// begin starts a segment.
func (r *rows) begin(schema *iceberg.Schema, log uuid.UUID, first eventlog.Seq) error {
	if r.batch != nil && sameKinds(r.schema, schema) {
		r.batch.Reset()
		r.batch.Schema = schema
	} else {
		batch, err := column.New(schema)
		if err != nil {
			return err
		}
		r.batch = batch
	}
	r.schema, r.first, r.next = schema, first, first
	if v := r.batch.Col(iceberg.FieldLog); v != nil {
		if err := v.AppendBytes([]byte(log.String())); err != nil {
			return err
		}
		v.Const = true
	}
	return nil
}

// add takes a run of events. Reading the log calls it in order.
func (r *rows) add(in eventlog.Rows) error {
	if in.First != r.next {
		return fmt.Errorf("log gave event %d where %d follows", in.First, r.next)
	}
	n := in.Batch.Len
	for i, f := range r.schema.Fields {
		v := &r.batch.Cols[i]
		src := &r.one
		switch f.ID {
		case iceberg.FieldLog:
			continue
		case iceberg.FieldSequence:
			from := len(v.Int64s)
			v.Int64s = slices.Grow(v.Int64s, n)[:from+n]
			for k := range v.Int64s[from:] {
				v.Int64s[from+k] = int64(in.First) + int64(k)
			}
			continue
		case iceberg.FieldIngestTime:
			r.one.Kind = column.Int64
			r.one.SetInt64(in.Ingest)
		default:
			if src = in.Batch.Col(f.ID); src == nil {
				if f.Required {
					return fmt.Errorf("log stores no column %d (%s), which the table requires", f.ID, f.Name)
				}
				src, r.one.Kind = &r.one, v.Kind
				r.one.SetNull()
			}
		}
		if err := v.Concat(r.batch.Len, src, 0, n); err != nil {
			return fmt.Errorf("append column %s: %w", f.Name, err)
		}
	}
	r.batch.Len += n
	r.next += eventlog.Seq(n)
	return nil
}

// end returns the rows if they are those from first to last, all of them.
func (r *rows) end(last eventlog.Seq) (*column.Batch, error) {
	if r.next != last+1 {
		return nil, fmt.Errorf("log gave %d events from %d on, and the segment ends at %d", r.next-r.first, r.first, last)
	}
	return r.batch, nil
}

// shrink gives the memory back when it is more than most bytes.
func (r *rows) shrink(most int64) {
	if r.batch != nil && int64(r.batch.Capacity()) > most {
		r.batch = nil
	}
}

func sameKinds(a, b *iceberg.Schema) bool {
	return slices.EqualFunc(a.Fields, b.Fields, func(a, b iceberg.Field) bool {
		ka, errA := column.KindOf(a.Type)
		kb, errB := column.KindOf(b.Type)
		return a.ID == b.ID && ka == kb && errA == nil && errB == nil
	})
}

// encoders keeps the encoder of the last schema: tables of one kind share it.
type encoders struct {
	id      int
	hash    string
	encoder *datafile.Encoder
}

func (e *encoders) of(schema *iceberg.Schema, cfg datafile.Config) (*datafile.Encoder, error) {
	hash := commitlib.SchemaHash(schema)
	if e.encoder != nil && e.id == schema.ID && e.hash == hash {
		return e.encoder, nil
	}
	enc, err := datafile.NewEncoder(schema, cfg)
	if err != nil {
		return nil, err
	}
	*e = encoders{schema.ID, hash, enc}
	return enc, nil
}

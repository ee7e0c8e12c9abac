package eventlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"firn/commitlib/iceberg"
)

// Query asks for one page of a table's events.
type Query struct {
	Table     uuid.UUID
	Log       uuid.UUID // where to start; zero: the oldest log that holds events of the table
	From      Seq       // first sequence wanted of Log; 0: its low watermark
	Partition *int32    // nil: any
	Limit     int       // events; at most MaxPageEvents, which 0 stands for
	MaxBytes  int       // of payloads and keys, which one event may exceed; at most MaxPageBytes, which 0 stands for
}

// What a page may cost, whatever is asked for.
const (
	MaxPageEvents = 10_000
	MaxPageBytes  = 8 << 20
	// pageScanBytes of blocks are looked through for one page: a filter that matches
	// nothing must not read the whole log.
	pageScanBytes = 64 << 20
)

// Event is one event of a page.
type Event struct {
	Log       uuid.UUID
	Seq       Seq
	Partition int32
	Time      int64 // microseconds since the Unix epoch
	Ingest    int64
	Key       []byte // nil: none
	Payload   []byte
}

// Page is a run of a table's events, by log and then by sequence; it shares no memory with the log.
type Page struct {
	Events  []Event
	Log     uuid.UUID // where the next page starts
	Next    Seq
	More    bool // events lie beyond this page; whether they match is not known
	Trimmed bool // events between where the query starts and the first of the page are no longer there
}

// errPageFull ends the reading of a page.
var errPageFull = errors.New("page is full")

// ReadPage reads one page. Its memory is that of the page and of one block.
func (l *Log) ReadPage(ctx context.Context, q Query) (Page, error) {
	if q.Limit <= 0 || q.Limit > MaxPageEvents {
		q.Limit = MaxPageEvents
	}
	if q.MaxBytes <= 0 || q.MaxBytes > MaxPageBytes {
		q.MaxBytes = MaxPageBytes
	}
	p := Page{Log: q.Log, Next: q.From}
	b := pageBuilder{q: q, page: &p}
	tracks := l.tracksOf(q.Table)
	i, _ := slices.BinarySearchFunc(tracks, q.Log, func(t *track, id uuid.UUID) int { return compareIDs(t.log, id) })
	if q.Log != uuid.Nil && (i == len(tracks) || tracks[i].log != q.Log) {
		p.Trimmed = true // the log is not there any more
	}
	for _, t := range tracks[i:] {
		s := l.durable(t)
		from := s.low
		if t.log == q.Log && q.From > 0 {
			from = max(from, q.From)
			p.Trimmed = q.From < s.low
		}
		p.Log, p.Next = t.log, from
		err := l.Read(ctx, t.id, from, s.high, b.take)
		switch {
		case errors.Is(err, errPageFull):
			p.More = p.Next <= s.high || t != tracks[len(tracks)-1]
			return p, nil
		case errors.Is(err, ErrTrimmed) || errors.Is(err, ErrUnknownTrack): // meanwhile; what was read stands
			p.Trimmed, p.More = true, true
			return p, nil
		case err != nil:
			return Page{}, fmt.Errorf("read page: %w", err)
		}
		p.Next = max(s.high+1, from)
	}
	return p, nil
}

// tracksOf lists a table's tracks, oldest log first.
func (l *Log) tracksOf(table uuid.UUID) []*track {
	l.mu.RLock()
	defer l.mu.RUnlock()
	var list []*track
	for _, t := range l.tracks {
		if t.table.UUID == table {
			list = append(list, t)
		}
	}
	slices.SortFunc(list, func(a, b *track) int { return compareIDs(a.log, b.log) })
	return list
}

// pageBuilder fills a page from rows.
type pageBuilder struct {
	q       Query
	page    *Page
	bytes   int
	scanned int
}

func (b *pageBuilder) take(r Rows) error {
	partition, at := r.Batch.Col(iceberg.FieldPartition), r.Batch.Col(iceberg.FieldEventTime)
	key, payload := r.Batch.Col(iceberg.FieldIdempotencyKey), r.Batch.Col(iceberg.FieldPayload)
	if partition == nil || at == nil || key == nil || payload == nil {
		return errors.New("the log's schema lacks a column of events")
	}
	for row := range r.Batch.Len {
		seq := r.First + Seq(row)
		if len(b.page.Events) >= b.q.Limit {
			return errPageFull
		}
		if b.q.Partition != nil && partition.Int32(row) != *b.q.Partition {
			b.page.Next = seq + 1
			continue
		}
		e := Event{Log: r.Log, Seq: seq, Partition: partition.Int32(row), Time: at.Int64(row), Ingest: r.Ingest}
		data, k := payload.Bytes(row), []byte(nil)
		if !key.Null(row) {
			k = key.Bytes(row)
		}
		if n := len(data) + len(k); b.bytes+n > b.q.MaxBytes && len(b.page.Events) > 0 {
			return errPageFull
		} else {
			b.bytes += n
		}
		e.Payload = append([]byte{}, data...)
		if !key.Null(row) {
			e.Key = append([]byte{}, bytes.Clone(k)...)
		}
		b.page.Events = append(b.page.Events, e)
		b.page.Next = seq + 1
	}
	if b.scanned += r.Batch.Size(); b.scanned >= pageScanBytes {
		return errPageFull
	}
	return nil
}

package httpapi

import (
	"encoding/base64"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"firn/ingestd/eventlog"
	"firn/ingestd/registry"
)

const (
	readChunk         = 64 << 10 // bytes of a page that are encoded before they are sent
	defaultReadEvents = 100
)

// getEvents returns events that are still in the log.
func (a *API) getEvents(w http.ResponseWriter, r *http.Request) error {
	t, err := a.table(r)
	if err != nil {
		return err
	}
	query, err := a.pageQuery(r, t)
	if err != nil {
		return err
	}
	select {
	case a.reads <- struct{}{}:
		defer func() { <-a.reads }()
	default:
		f := newFault("busy", "retry after Retry-After", "%d reads are under way already", a.cfg.MaxReads)
		f.retryAfter = busyRetryAfter
		return f
	}
	page, err := a.Log.ReadPage(r.Context(), query)
	if err != nil {
		return err
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(a.cfg.PageTimeout)) // the next request has its own
	w.Header().Set("Content-Type", "application/json")
	if r.Method == http.MethodHead {
		return nil
	}
	b := make([]byte, 0, readChunk+readChunk/4)
	b = append(b, `{"table":`...)
	b = appendJSONString(b, t.Name)
	b = append(b, `,"payload":"`...)
	b = append(b, t.Settings.Payload...)
	b = append(b, `","events":[`...)
	for i := range page.Events {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendEvent(b, &page.Events[i], t.Binary())
		if len(b) >= readChunk {
			if _, err := w.Write(b); err != nil {
				return nil // the client left
			}
			b = b[:0]
		}
	}
	b = append(b, `],"cursor":"`...)
	if page.Log != (uuid.UUID{}) {
		b = append(b, encodeCursor(t.UUID, page.Log, page.Next)...)
	}
	b = append(b, `","more":`...)
	b = strconv.AppendBool(b, page.More)
	b = append(b, `,"trimmed":`...)
	b = strconv.AppendBool(b, page.Trimmed)
	b = append(b, "}\n"...)
	_, _ = w.Write(b)
	return nil
}

// pageQuery reads the parameters: cursor, or log and sequence; partition; limit.
func (a *API) pageQuery(r *http.Request, t *registry.Table) (eventlog.Query, error) {
	out := eventlog.Query{Table: t.UUID, MaxBytes: a.cfg.MaxReadBytes}
	q, err := query(r, "cursor", "log", "sequence", "partition", "limit")
	if err != nil {
		return out, err
	}
	limit, err := number(q, "limit", 1, int64(a.cfg.MaxReadEvents), int64(min(defaultReadEvents, a.cfg.MaxReadEvents)))
	if err != nil {
		return out, err
	}
	out.Limit = int(limit)
	if q.Has("partition") {
		n, err := number(q, "partition", 0, math.MaxInt32, 0)
		if err != nil {
			return out, err
		}
		p := int32(n)
		out.Partition = &p
	}
	switch {
	case q.Has("cursor") && (q.Has("log") || q.Has("sequence")):
		return out, newFault("invalid_parameter", "give either cursor, or log and sequence", "both a cursor and a log or sequence are given")
	case q.Has("cursor"):
		out.Log, out.From, err = decodeCursor(q.Get("cursor"), t.UUID)
		return out, err
	case q.Has("log"):
		if out.Log, err = logParam(q.Get("log")); err != nil {
			return out, err
		}
		if !a.holds(out.Log, t.UUID) {
			return out, newFault("unknown_log", "GET /tables/{table}/watermark lists the logs; leave log and sequence out to start at the oldest event", "there is no log %s of table %s here", out.Log, t.Name)
		}
	case q.Has("sequence"):
		return out, newFault("invalid_parameter", "give log too: a sequence counts within one log", "sequence without log")
	}
	from, err := number(q, "sequence", 1, math.MaxInt64, 0)
	out.From = eventlog.Seq(from)
	return out, err
}

// holds says whether the log is one of the table's here.
func (a *API) holds(log, table uuid.UUID) bool {
	return slices.ContainsFunc(a.Log.Tracks(), func(info eventlog.TrackInfo) bool { return info.Log == log && info.Table.UUID == table })
}

func logParam(s string) (uuid.UUID, error) {
	id, err := uuid.Parse(s)
	if err != nil || len(s) != 36 {
		return id, newFault("invalid_parameter", "GET /tables/{table}/watermark lists the logs", "log is %q, which is no UUID", clip(s))
	}
	return id, nil
}

// appendEvent writes an event with the members that bulk takes, so that what was read can be posted.
func appendEvent(b []byte, e *eventlog.Event, binary bool) []byte {
	b = append(b, `{"log":"`...)
	b = append(b, e.Log.String()...)
	b = append(b, `","sequence":`...)
	b = strconv.AppendUint(b, uint64(e.Seq), 10)
	b = append(b, `,"partition":`...)
	b = strconv.AppendInt(b, int64(e.Partition), 10)
	b = append(b, `,"timestamp_ms":`...)
	b = strconv.AppendInt(b, floorMs(e.Time), 10)
	b = append(b, `,"ingest_time_ms":`...)
	b = strconv.AppendInt(b, floorMs(e.Ingest), 10)
	if e.Key != nil {
		b = append(b, `,"idempotency_key":`...)
		b = appendJSONString(b, e.Key)
	}
	if binary {
		b = append(b, `,"payload_base64":"`...)
		b = base64.StdEncoding.AppendEncode(b, e.Payload)
		return append(b, `"}`...)
	}
	b = append(b, `,"payload":`...)
	b = appendJSONString(b, e.Payload)
	return append(b, '}')
}

// floorMs is the millisecond that a time in microseconds lies in, before 1970 too.
func floorMs(micros int64) int64 {
	ms := micros / 1000
	if micros%1000 < 0 {
		ms--
	}
	return ms
}

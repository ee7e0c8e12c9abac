package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"firn/ingestd/event"
	"firn/ingestd/eventlog"
	"firn/ingestd/registry"
	"firn/ingestd/ship"
)

// Fault is one kind of refusal: its stable code, its status, and what it means. A released code keeps its meaning.
type Fault struct {
	Code    string
	Status  int
	Meaning string
}

// Faults is the one table of them; API.md repeats it.
var Faults = []Fault{
	// What is wrong with the events (package event).
	{event.CodeMalformedJSON, 400, "the body is not JSON: syntax, an unknown literal, a raw control character in a string, or something after the end"},
	{event.CodeTruncatedJSON, 400, "the body is JSON so far, but ends too early"},
	{event.CodeTooDeep, 400, "a payload nests more arrays and objects than allowed (64)"},
	{event.CodeInvalidUTF8, 400, "a byte is not UTF-8 where text is wanted"},
	{event.CodeLoneSurrogate, 400, `an escape \ud800 to \udfff is not half of a pair`},
	{event.CodeByteOrderMark, 400, "the body starts with a byte order mark"},
	{event.CodeDuplicateMember, 400, "a member of the envelope, a record or the settings appears twice"},
	{event.CodeUnknownMember, 400, "the envelope, a record or the settings have a member that they should not"},
	{event.CodeMissingMember, 400, "the envelope has no records, or a record no payload"},
	{event.CodeWrongType, 400, "a member or header has a value of the wrong type"},
	{event.CodePartitionRange, 400, "a partition is outside 0 to 2147483647"},
	{event.CodeTimeRange, 400, "an event time is outside the table's window"},
	{event.CodeInvalidKey, 400, "an idempotency key is empty or has control characters"},
	{event.CodeKeyTooLong, 400, "an idempotency key has more bytes than allowed (256)"},
	{event.CodeInvalidBase64, 400, "payload_base64 is not standard base64 with padding"},
	{event.CodeNotBinary, 400, "payload_base64 for a table whose payload is text"},
	{event.CodeNoEvents, 400, "the request holds no event"},
	{event.CodeEventTooLarge, 413, "a payload has more bytes than allowed (1 MiB)"},
	{event.CodeTooManyEvents, 413, "the request has more events than allowed (250,000)"},
	{event.CodeBodyTooLarge, 413, "the body, as sent or expanded, has more bytes than allowed (16 MiB)"},

	// What is wrong with the request.
	{"bad_table_name", 400, "the table's name is not one that every catalog takes; the hint suggests one"},
	{"invalid_header", 400, "a header is empty, repeated, not one that this route takes, or a known misspelling of one"},
	{"invalid_parameter", 400, "a query parameter is unknown, repeated, malformed or out of range"},
	{"invalid_cursor", 400, "the cursor is not one that this table gave out"},
	{"invalid_settings", 400, "a table setting is out of range or unknown"},
	{"truncated_body", 400, "the connection ended before the body did, or the body's framing is broken"},
	{"malformed_encoding", 400, "the body is not what its Content-Encoding says: garbage, cut off, or a failed checksum"},
	{"unknown_route", 404, "there is nothing at this path"},
	{"unknown_table", 404, "the table is not known here, and is not made by its first event"},
	{"unknown_log", 404, "the log has no events of this table here: it never had, or they are all committed and gone"},
	{"method_not_allowed", 405, "the path does not take this method; Allow says which"},
	{"body_timeout", 408, "the body came too slowly"},
	{"settings_contradiction", 409, "the table has another payload kind or partitioning, which is fixed when it is made"},
	{"ingest_stopped", 409, "DELETE stopped ingest for the table; PUT takes it up again"},
	{"table_rejected", 409, "the catalog refuses the table, or the table there is not one that Firn can write"},
	{"batch_too_large", 413, "the request's events do not fit one block of the log: split it"},
	{"unsupported_content_type", 415, "the route does not take this Content-Type"},
	{"unsupported_encoding", 415, "the body's Content-Encoding is not gzip or zstd"},
	{"not_stopped", 409, "resume or discard for a table whose shipping is not stopped"},
	{"log_still_open", 409, "discard for a log that takes new events, or resume past events that it never had: restart the daemon first"},
	{"count_differs", 409, "discard names another number of events than are uncommitted"},
	{"dedup_full", 429, "the budget for idempotency keys is full; events without keys are still taken"},
	{"too_many_tables", 429, "the daemon takes events for no more tables"},

	// What is wrong here. Nothing of the request is stored, except where outcome_unknown says otherwise.
	{"internal", 500, "a defect, or a failed log; the daemon's own log has the reason"},
	{"log_broken", 500, "a write to the event log failed: the daemon is stopping, to replay what is durable"},
	{"outcome_unknown", 500, "the request was given up while its append was under way: it may be stored"},
	{"busy", 503, "too many bytes or reads are in flight, or maintenance is: retry after Retry-After"},
	{"backlog_full", 503, "the backlog has reached its bound: retry after Retry-After"},
	{"table_backlog_full", 503, "the table's share of the backlog is used up: retry after Retry-After"},
	{"table_stopped", 503, "shipping of the table is stopped until an operator acts; the message says why"},
	{"catalog_unavailable", 503, "the catalog, or the store under it, cannot be reached"},
	{"shutting_down", 503, "the daemon is stopping or draining"},
	{"ack_timeout", 504, "the events are durable and will be committed, but were not as far as ack asks in time: do not send them again"},
	{"disk_full", 507, "the data volume is below its free-space reserve"},
}

var statusOf = func() map[string]int {
	m := make(map[string]int, len(Faults))
	for _, f := range Faults {
		m[f.Code] = f.Status
	}
	return m
}()

// fault is one refusal on its way to the client.
type fault struct {
	code         string
	record, byte int // -1: none
	message      string
	hint         string
	retryAfter   time.Duration
	closeConn    bool // what follows on the connection is not worth reading
}

func (f *fault) Error() string { return f.code + ": " + f.message }

func newFault(code, hint, format string, args ...any) *fault {
	return &fault{code: code, record: -1, byte: -1, hint: hint, message: fmt.Sprintf(format, args...)}
}

// kinds gives each sentinel of the parts its code. The first that matches counts.
var kinds = []struct {
	err        error
	code, hint string
	retryAfter time.Duration
}{
	{registry.ErrUnknownTable, "unknown_table", "make the table with PUT /tables/{table}", 0},
	{registry.ErrStopped, "ingest_stopped", "PUT /tables/{table} takes up ingest again", 0},
	{registry.ErrReplaced, "table_stopped", "see the daemon's log for the operator's choices", 10 * time.Second},
	{registry.ErrTooManyTables, "too_many_tables", "send to a table that exists", 0},
	{registry.ErrUnavailable, "catalog_unavailable", "retry; /health/ready tells when it is back", 2 * time.Second},
	{registry.ErrBadSettings, "invalid_settings", "API.md has the range of each setting", 0},
	{eventlog.ErrFull, "backlog_full", "retry; look at /health/ready and firn_backlog_events", 5 * time.Second},
	{eventlog.ErrTableFull, "table_backlog_full", "retry; look at GET /tables/{table}/watermark", 5 * time.Second},
	{eventlog.ErrDiskFull, "disk_full", "free some space on the data volume; ingest resumes by itself", 10 * time.Second},
	{eventlog.ErrDedupFull, "dedup_full", "retry later, or raise -dedup-bytes", 60 * time.Second},
	{eventlog.ErrTooLarge, "batch_too_large", "send fewer events in one request", 0},
	{eventlog.ErrUnknownTrack, "invalid_parameter", "GET /tables/{table}/watermark lists the logs", 0},
	{ship.ErrGone, "unknown_log", "GET /tables/{table}/watermark lists the logs that are here", 0},
	{ship.ErrNotStopped, "not_stopped", "GET /tables/{table}/watermark shows what is stopped", 0},
	{ship.ErrStillOpen, "log_still_open", "restart the daemon, so that new events get a log of their own", 0},
	{ship.ErrCountDiffers, "count_differs", "GET /tables/{table}/watermark shows the number", 0},
	{eventlog.ErrBroken, "log_broken", "retry once the daemon is back", 0},
	{eventlog.ErrClosed, "shutting_down", "retry once the daemon is back, or send to another", 5 * time.Second},
}

// faultOf turns any error into what its client is told.
func faultOf(err error) *fault {
	var (
		own     *fault
		ev      *event.Error
		name    *registry.NameError
		contra  *registry.ContradictionError
		reject  *registry.RejectedError
		refusal *eventlog.Refusal
		stop    *ship.Stop
	)
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &ev):
		return &fault{code: ev.Code, record: ev.Record, byte: ev.Byte, message: ev.Message, hint: ev.Hint}
	case errors.As(err, &name):
		hint := "names match ^[a-z][a-z0-9_]{0,127}$"
		if name.Suggestion != "" {
			hint = fmt.Sprintf("%s: use %s", hint, name.Suggestion)
		}
		return newFault("bad_table_name", hint, "%s", name.Error())
	case errors.As(err, &contra):
		return newFault("settings_contradiction", "leave "+contra.Field+" as it is, or use another table", "%s", contra.Error())
	case errors.As(err, &reject):
		return newFault("table_rejected", "use another table, or mend this one in its catalog", "%s", reject.Error())
	}
	if errors.As(err, &stop) {
		return stopFault(stop)
	}
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			f := newFault(k.code, k.hint, "%s", err.Error())
			f.retryAfter = k.retryAfter
			if errors.As(err, &refusal) && refusal.RetryAfter > 0 {
				f.retryAfter = refusal.RetryAfter
			}
			return f
		}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return newFault("outcome_unknown", "retry with idempotency keys, which make that safe", "the request was given up: %s", err.Error())
	}
	return newFault("internal", "see the daemon's log", "internal error")
}

// stopFault says that a table cannot be shipped until its operator acts.
func stopFault(stop *ship.Stop) *fault {
	f := newFault("table_stopped", "an operator must act: "+strings.Join(stop.Choices, "; or "), "shipping of the table is stopped (%s): %v", stop.Reason, stop.Err)
	f.retryAfter = stoppedRetryAfter
	return f
}

// stoppedRetryAfter is what producers of a stopped table are told: an operator takes minutes.
const stoppedRetryAfter = time.Minute

// refuse tells the client about an error, counts it, and logs it where it is ours.
func (a *API) refuse(w *statusWriter, r *http.Request, err error) {
	f := faultOf(err)
	status := statusOf[f.code]
	a.Metrics.refused(f.code)
	if status == http.StatusInternalServerError && r.Context().Err() == nil {
		a.Logger.Error("request failed", "method", r.Method, "path", clip(r.URL.Path), "code", f.code, "error", err)
	}
	if w.status != 0 { // the reply has begun: all that is left is to cut it off, so that it is not taken for a whole one
		panic(http.ErrAbortHandler)
	}
	h := w.Header()
	if f.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int((f.retryAfter+time.Second-1)/time.Second)))
	}
	if f.closeConn {
		h.Set("Connection", "close")
	}
	if r.ContentLength != 0 { // a body's own deadline may be far off, and what is left of it is of no use
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(lingerTimeout))
	}
	b := append([]byte(nil), `{"error":{"code":`...)
	b = appendJSONString(b, f.code)
	b = append(b, `,"message":`...)
	b = appendJSONString(b, f.message)
	b = append(b, `,"record":`...)
	b = appendPlace(b, f.record)
	b = append(b, `,"byte":`...)
	b = appendPlace(b, f.byte)
	b = append(b, `,"hint":`...)
	b = appendJSONString(b, f.hint)
	b = append(b, "}}\n"...)
	writeJSON(w, status, b)
}

// appendPlace writes a position, or null where there is none.
func appendPlace(b []byte, n int) []byte {
	if n < 0 {
		return append(b, "null"...)
	}
	return strconv.AppendInt(b, int64(n), 10)
}

// clip bounds what an error repeats of a request.
func clip(s string) string {
	const most = 128
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.ToValidUTF8(s, "�")
}

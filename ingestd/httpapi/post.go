package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"firn/ingestd/event"
	"firn/ingestd/eventlog"
	"firn/ingestd/registry"
	"firn/ingestd/ship"
)

// decoder fills a batch from a body; def is what the table and the headers say.
type decoder func(dst *event.Batch, body []byte, def event.Defaults) error

// keys says where a request's idempotency keys are: such a request may be a retry of what is stored, which needs no
// room in the log.
type keys int

const (
	noKeys      keys = iota
	keyInHeader      // one event, with a key
	keysInBody       // perhaps: event.MayHoldKeys knows more
)

// postEvent takes one event: the body is its payload.
func (a *API) postEvent(w http.ResponseWriter, r *http.Request) error {
	m, err := mediaOf(r)
	if err != nil {
		return err
	}
	if m == mediaNDJSON {
		return newFault("unsupported_content_type", "post it to /tables/{table}/bulk", "many events in one body, to the route for one")
	}
	key, keyed, err := header(r, "Idempotency-Key")
	if err != nil {
		return err
	}
	var keyBytes []byte
	where := noKeys
	if keyed {
		keyBytes, where = []byte(key), keyInHeader
	}
	return a.ingest(w, r, where, func(dst *event.Batch, body []byte, def event.Defaults) error {
		if m == mediaJSON {
			if err := event.CheckJSON(body, a.cfg.Limits); err != nil {
				return err
			}
		}
		return event.DecodeSingle(dst, body, keyBytes, a.cfg.Limits, def)
	})
}

// postBulk takes many events, as an envelope or as NDJSON.
func (a *API) postBulk(w http.ResponseWriter, r *http.Request) error {
	m, err := mediaOf(r)
	if err != nil {
		return err
	}
	if m == mediaBytes {
		return unsupportedType(r.Header.Get("Content-Type"))
	}
	if _, keyed := r.Header["Idempotency-Key"]; keyed {
		return newFault("invalid_header", "give each record its own idempotency_key", "Idempotency-Key would apply to many events")
	}
	decode, where := event.DecodeBulk, keysInBody
	if m == mediaNDJSON {
		decode, where = event.DecodeNDJSON, noKeys
	}
	return a.ingest(w, r, where, func(dst *event.Batch, body []byte, def event.Defaults) error {
		return decode(dst, body, a.cfg.Limits, def)
	})
}

// ingest is the way of every request with events: store them, wait as asked, reply.
func (a *API) ingest(w http.ResponseWriter, r *http.Request, where keys, decode decoder) error {
	if err := a.open(); err != nil {
		return err
	}
	ack, err := ackLevel(r)
	if err != nil {
		return err
	}
	t, res, err := a.store(w, r, where, decode)
	if err != nil {
		return err
	}
	snapshot, err := a.await(r.Context(), ack, t, res)
	if err != nil {
		return err
	}
	b := make([]byte, 0, 256)
	b = append(b, `{"table":`...)
	b = appendJSONString(b, t.Name)
	b = append(b, `,"log":"`...)
	b = appendUUID(b, res.Log)
	b = append(b, `","first_sequence":`...)
	b = strconv.AppendUint(b, uint64(res.First), 10)
	b = append(b, `,"last_sequence":`...)
	b = strconv.AppendUint(b, uint64(res.Last), 10)
	b = append(b, `,"accepted":`...)
	b = strconv.AppendInt(b, int64(res.Accepted), 10)
	b = append(b, `,"duplicates":`...)
	b = strconv.AppendInt(b, int64(res.Duplicates), 10)
	if ack == ackCommitted {
		b = append(b, `,"snapshot_id":`...)
		if snapshot == 0 {
			b = append(b, "null"...)
		} else {
			b = strconv.AppendInt(b, snapshot, 10)
		}
	}
	b = append(b, "}\n"...)
	writeJSON(w, http.StatusOK, b)
	return nil
}

// store reads, decodes and appends. Whatever is wrong with the request is found before the append;
// nothing of it is stored then, and no table is made for it. Body and batch are given back as soon as the log has made
// its block of them, however long its sync and the reply take.
//
// Under overload most requests are refused, so that refusing has to cost less than taking: the log is asked before the
// body is read, and once more when it has arrived, before it is decoded. Then room is promised to it, so that what
// was begun is not in vain.
func (a *API) store(w http.ResponseWriter, r *http.Request, where keys, decode decoder) (t *registry.Table, res eventlog.Appended, err error) {
	received := a.Now()
	name := r.PathValue("table")
	t, known := a.Registry.Get(name)
	if known {
		err = a.stopped(t)
	} else {
		err = registry.CheckName(name)
	}
	if err != nil {
		return t, res, err
	}
	if err := misspelt(r); err != nil {
		return t, res, err
	}
	var h event.Headers
	if h.Partition, _, err = header(r, "X-Partition"); err != nil {
		return t, res, err
	}
	if h.TimestampMs, _, err = header(r, "X-Timestamp-Ms"); err != nil {
		return t, res, err
	}
	if known {
		if err := a.Log.Refuses(t.UUID, r.ContentLength, where != noKeys); err != nil {
			return t, res, err
		}
	}
	work := new(load)
	defer work.release()
	body := &work.body
	if err := a.readBody(body, w, r, a.cfg.Limits.MaxBodyBytes); err != nil {
		return t, res, err
	}
	size := len(body.b)
	var room eventlog.Room
	if known {
		if room, err = a.reserve(t, body.b, where); err != nil {
			return t, res, err
		}
		defer a.Log.GiveBack(room)
	}
	work.batch = event.Get(size)
	fill := func(binary bool, minTime, maxTime int64) error {
		def, err := event.Defaults{
			TimeMicros: received.UnixMilli() * 1000, // producers state milliseconds, so that is what an event without a time gets
			MinTime:    minTime, MaxTime: maxTime, Binary: binary,
		}.Override(h)
		if err != nil {
			return err
		}
		return decode(work.batch, body.b, def)
	}
	if known {
		t, err = a.Registry.Ensure(r.Context(), name)
	} else {
		held := int64(cap(body.b))
		if err := a.firsts.take(held); err != nil {
			return t, res, err
		}
		t, err = a.first(r.Context(), name, received, fill)
		a.firsts.give(held)
	}
	if err != nil {
		return t, res, err
	}
	minTime, maxTime := t.Window(received)
	if err := fill(t.Binary(), minTime, maxTime); err != nil {
		return t, res, err
	}
	start := a.Now()
	res, err = a.Log.Append(r.Context(), eventlog.Append{Table: eventlog.Table{Name: t.Name, UUID: t.UUID}, Batch: &work.batch.Batch,
		ReceivedAt: received, Room: room, Lender: work})
	if err == nil {
		a.Metrics.appended(a.Now().Sub(start), res.Accepted, res.Duplicates, size)
	}
	return t, res, err
}

// reserve asks the log for room for a body that has arrived.
func (a *API) reserve(t *registry.Table, body []byte, where keys) (eventlog.Room, error) {
	room, err := a.Log.Reserve(t.UUID, int64(len(body)), where != noKeys)
	if err == nil && where == keysInBody && room.Full() != nil && !event.MayHoldKeys(body) {
		return a.Log.Reserve(t.UUID, int64(len(body)), false)
	}
	return room, err
}

// load is what a request's events hold on their way into the log: their body, and the batch that it is decoded into.
type load struct {
	body  buffer
	batch *event.Batch // nil: none yet, or given back
}

// Encoded implements eventlog.Lender. The block that waits for its sync stands in the budget in the body's place.
func (x *load) Encoded(blockBytes int) {
	x.batch.Release()
	x.batch = nil
	x.body.shrink(int64(blockBytes))
}

func (x *load) release() {
	if x.batch != nil {
		x.batch.Release()
	}
	x.body.release()
}

// first returns the table of an event for a name that is not known here. A first event makes its table, so it must
// be good before: as the table will be made, by the default settings. What only a binary table takes makes none,
// but another daemon may have made one.
func (a *API) first(ctx context.Context, name string, received time.Time, fill func(binary bool, minTime, maxTime int64) error) (*registry.Table, error) {
	fresh := &registry.Table{Settings: a.Registry.Defaults()}
	minTime, maxTime := fresh.Window(received)
	bad := fill(fresh.Binary(), minTime, maxTime)
	if bad == nil {
		return a.Registry.Ensure(ctx, name)
	}
	if fresh.Binary() || fill(true, minTime, maxTime) != nil {
		return nil, bad
	}
	t, err := a.Registry.Find(ctx, name)
	if errors.Is(err, registry.ErrUnknownTable) {
		return nil, bad
	}
	return t, err
}

// open refuses events and changes while the daemon stops or drains.
func (a *API) open() error {
	if !a.closing.Load() && !a.cfg.Drain {
		return nil
	}
	f := newFault("shutting_down", "send to another daemon, or retry once this one is back", "the daemon is stopping or draining")
	f.retryAfter, f.closeConn = 5*time.Second, true
	return f
}

// How far events must have come before the reply.
type ack int

const (
	ackLog       ack = iota // in the log, synced: the default
	ackStaged               // in data files in the object store too: the events survive the volume
	ackCommitted            // in the table
)

func ackLevel(r *http.Request) (ack, error) {
	q, err := query(r, "ack")
	if err != nil {
		return 0, err
	}
	switch v := q.Get("ack"); v {
	case "", "log":
		return ackLog, nil
	case "staged":
		return ackStaged, nil
	case "committed":
		return ackCommitted, nil
	default:
		return 0, newFault("invalid_parameter", "give log, staged or committed", "ack is %q", clip(v))
	}
}

// await waits until appended events have come as far as their producer wants. They are durable whatever it returns. Of
// committed ones it returns a snapshot that holds them; 0 where the table could not be looked at any more.
func (a *API) await(ctx context.Context, want ack, t *registry.Table, res eventlog.Appended) (snapshotID int64, err error) {
	if want == ackLog {
		return 0, nil
	}
	level := ship.Staged
	if want == ackCommitted {
		level = ship.Committed
	}
	track := res.Track
	if res.Accepted == 0 { // duplicates: wait for what the first request stored
		for _, info := range a.Log.Tracks() {
			if info.Log == res.Log && info.Table.UUID == t.UUID {
				track = info.Track
			}
		}
	}
	ctx, cancel := a.waiting(ctx)
	defer cancel()
	if err := a.Shipper.Wait(ctx, track, res.Last, level); err != nil {
		return 0, newFault("ack_timeout", "do not send the events again, unless with their idempotency keys; GET /tables/{table}/watermark tells when they are committed",
			"events %d to %d of log %s are durable and will be committed, but are not yet as far as asked: %s", res.First, res.Last, res.Log, clip(err.Error()))
	}
	if want != ackCommitted {
		return 0, nil
	}
	if snapshotID, err = a.Shipper.Snapshot(ctx, eventlog.Table{Name: t.Name, UUID: t.UUID}, res.Log, res.Last); err != nil {
		return 0, nil // committed all the same
	}
	return snapshotID, nil
}

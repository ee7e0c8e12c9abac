// Package payload makes HTTP requests full of events that were never sent before, at little cost: a request is built
// once, and before each sending only the places that differ are written over.
//
// The generator runs on the machine that it measures, so that building bodies anew would be the bottleneck; and sending
// the same ones again would flatter the server, since what repeats compresses to nothing. Every event has a number
// of its own, and all fields that would differ among real events do.
//
// Requests are for one goroutine each.
package payload

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// Mix names a kind of events.
type Mix string

// The mixes. What an event of a mix is made of stands at the function that builds it.
const (
	Counters  Mix = "counters"  // 82 bytes, unless Size says otherwise
	Clicks    Mix = "clicks"    // 1 KiB
	Documents Mix = "documents" // 20,000 bytes
)

// Mixes are all of them.
var Mixes = []Mix{Counters, Clicks, Documents}

// Format is how events travel.
type Format string

// The formats of ingestd's interface.
const (
	Bulk   Format = "bulk"   // {"records":[{"payload":…},…]}
	NDJSON Format = "ndjson" // a payload a line; partition and time of all are in the header
	Single Format = "single" // one payload is the body
)

// Spec says which requests to make.
type Spec struct {
	Host   string
	Table  string
	Tables int // above 1: the tables are Table_00000, Table_00001, …, and each request goes to the next; see TableName
	Format Format
	Mix    Mix
	Size   int    // bytes of a counter's payload; 0: 82
	Events int    // in a request; Single: 1
	Query  string // behind the path, such as ?ack=staged

	// Partitions is how many lanes the events are spread over, at random; 0: none is named. Their numbers begin at
	// FirstPartition, so that all have as many digits.
	Partitions int
	// Times gives the events their times, each its own in Bulk, all of a request the same else; nil: none is named.
	Times Clock

	// First, Step: the events' numbers are First, First+Step, …: give each connection its own First, and as Step how
	// many connections there are.
	First, Step uint64
	Seed        uint64
}

// FirstPartition is the number of the first partition, MaxPartitions how many have as many digits as it.
const (
	FirstPartition = 10_000
	MaxPartitions  = 90_000
)

// MaxTables is how many tables one Spec may name.
const MaxTables = 100_000

// TableName is the name of the i-th of n tables.
func TableName(table string, i, n int) string {
	if n <= 1 {
		return table
	}
	return fmt.Sprintf("%s_%05d", table, i)
}

// Validate says what of a spec cannot be.
func (s *Spec) Validate() error {
	switch {
	case s.Mix != Counters && s.Mix != Clicks && s.Mix != Documents:
		return fmt.Errorf("no mix is called %q: there are %v", s.Mix, Mixes)
	case s.Format != Bulk && s.Format != NDJSON && s.Format != Single:
		return fmt.Errorf("no format is called %q: there are %v, %v and %v", s.Format, Bulk, NDJSON, Single)
	case s.Events < 1 || s.Format == Single && s.Events != 1:
		return fmt.Errorf("%d events in a request of format %s", s.Events, s.Format)
	case s.Tables < 0 || s.Tables > MaxTables:
		return fmt.Errorf("%d tables: give 1 to %d", s.Tables, MaxTables)
	case s.Partitions < 0 || s.Partitions > MaxPartitions:
		return fmt.Errorf("%d partitions: give 0 to %d", s.Partitions, MaxPartitions)
	case s.Step == 0:
		return errors.New("a step of 0 would number all events alike")
	}
	return nil
}

// Request is one prepared HTTP request.
type Request struct {
	wire   []byte // head and body
	fields []field
	events int
	bytes  int // of payloads
	next   uint64
	step   uint64
	round  uint64 // which request this is, counted over all connections as Step does
	clock  Clock
	random source
}

// New builds a request; its events have placeholders until Fill.
func New(s Spec) (*Request, error) {
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("build request: %w", err)
	}
	r := &Request{events: s.Events, next: s.First, step: s.Step, round: s.First, clock: s.Times, random: newSource(s.Seed, s.First)}
	b := &builder{random: r.random}
	switch s.Format {
	case Bulk:
		b.text(`{"records":[`)
		for i := range s.Events {
			if i > 0 {
				b.text(",")
			}
			b.text("{")
			if s.Partitions > 0 {
				b.text(`"partition":`)
				b.partition(s.Partitions)
				b.text(",")
			}
			if s.Times != nil {
				b.text(`"timestamp_ms":`)
				b.time()
				b.text(",")
			}
			b.text(`"payload":`)
			r.bytes += b.event(s.Mix, s.Size)
			b.text("}")
		}
		b.text("]}")
	case NDJSON, Single:
		for range s.Events {
			r.bytes += b.event(s.Mix, s.Size)
			if s.Format == NDJSON {
				b.text("\n")
			}
		}
	}
	head := header(s, b.out.Len())
	for i := range b.fields {
		b.fields[i].at += head.out.Len()
	}
	r.fields = append(head.fields, b.fields...)
	r.wire = append(head.out.Bytes(), b.out.Bytes()...)
	r.random = b.random
	return r, nil
}

// header is the request's head, for a body of so many bytes.
func header(s Spec, length int) *builder {
	h := &builder{}
	h.text("POST /tables/" + s.Table)
	if s.Tables > 1 {
		h.text("_")
		h.field(table, 5, s.Tables)
	}
	kind := "application/json"
	switch s.Format {
	case Bulk:
		h.text("/bulk")
	case NDJSON:
		h.text("/bulk")
		kind = "application/x-ndjson"
	}
	h.text(s.Query + " HTTP/1.1\r\nHost: " + s.Host + "\r\nContent-Type: " + kind +
		"\r\nContent-Length: " + strconv.Itoa(length) + "\r\n")
	if s.Format != Bulk && s.Partitions > 0 {
		h.text("X-Partition: ")
		h.partition(s.Partitions)
		h.text("\r\n")
	}
	if s.Format != Bulk && s.Times != nil {
		h.text("X-Timestamp-Ms: ")
		h.time()
		h.text("\r\n")
	}
	h.text("\r\n")
	return h
}

// Events is how many events a request carries, PayloadBytes what their payloads have together.
func (r *Request) Events() int { return r.events }

// PayloadBytes is what the payloads of one request have together, as the server stores them.
func (r *Request) PayloadBytes() int { return r.bytes }

// Fill makes every event one that was never sent, and returns the request's bytes, valid until the next call.
func (r *Request) Fill() []byte {
	latest, span := int64(0), int64(1)
	if r.clock != nil {
		latest, span = r.clock()
	}
	for i := range r.fields {
		f := &r.fields[i]
		at := r.wire[f.at : f.at+f.len]
		switch f.kind {
		case number:
			putNumber(at, r.next)
			r.next += r.step
		case hex:
			for len(at) > 0 {
				x := r.random.next()
				putHex(at, uint32(x))
				if at = at[8:]; len(at) > 0 {
					putHex(at, uint32(x>>32))
					at = at[8:]
				}
			}
		case words:
			r.random.write(at)
		case pick:
			copy(at, picks[f.arg][r.random.below(len(picks[f.arg]))])
		case table:
			putPadded(at, r.round%uint64(f.arg))
		case partition:
			putDigits(at, FirstPartition+uint64(r.random.below(f.arg)))
		case clock:
			putDigits(at, uint64(latest-int64(r.random.below(int(span)))))
		case digits:
			putDigits(at, r.random.next()>>8)
		}
	}
	r.round += r.step
	return r.wire
}

// builder assembles a text, and notes the fields in it.
type builder struct {
	out    bytes.Buffer
	fields []field
	random source // for what is made once and stays
}

func (b *builder) text(s string) { b.out.WriteString(s) }

func (b *builder) field(k kind, n, arg int) {
	b.fields = append(b.fields, field{at: b.out.Len(), len: n, kind: k, arg: arg})
	for range n {
		b.out.WriteByte('1') // a digit at least: a body is valid before it is filled too
	}
}

func (b *builder) partition(n int) { b.field(partition, 5, n) }
func (b *builder) time()           { b.field(clock, 13, 0) }

package load

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"firn/perf/payload"
)

// Traffic is one kind of requests, sent over connections of its own.
type Traffic struct {
	Name        string         `json:"name,omitempty"` // tells it from others of its step
	Reads       bool           `json:"reads,omitempty"`
	Table       string         `json:"table"`
	Tables      int            `json:"tables,omitempty"` // above 1: Table_00000, …, in turn
	Format      payload.Format `json:"format,omitempty"`
	Mix         payload.Mix    `json:"payload_mix,omitempty"`
	Size        int            `json:"counter_bytes,omitempty"`
	Events      int            `json:"events_a_request"`
	Connections int            `json:"connections"`
	Rate        float64        `json:"offered_events_per_second,omitempty"` // 0: closed loop
	Think       Duration       `json:"think,omitempty"`                     // closed loop: the pause between an answer and the next request
	Partitions  int            `json:"partitions,omitempty"`
	Times       string         `json:"event_times,omitempty"` // see clock
	Ack         string         `json:"ack,omitempty"`         // log, staged or committed; empty: log

	host string // in the requests' heads; empty: the server's address
}

// Loop is how requests follow one another: open at a constant rate, or closed, each after the answer to the last.
func (t *Traffic) Loop() string {
	if t.Rate > 0 {
		return "open"
	}
	return "closed"
}

// maxConnections is below what ingestd has open at once (1,024).
const maxConnections = 1000

// Validate says what of a traffic cannot be.
func (t *Traffic) Validate() error {
	switch {
	case t.Connections < 1 || t.Connections > maxConnections:
		return fmt.Errorf("%d connections: give 1 to %d", t.Connections, maxConnections)
	case t.Rate < 0 || t.Think < 0:
		return errors.New("a rate or a pause is negative")
	case t.Ack != "" && t.Ack != "log" && t.Ack != "staged" && t.Ack != "committed":
		return fmt.Errorf("no ack is called %q: there are log, staged and committed", t.Ack)
	case t.Reads:
		return nil
	}
	if _, err := clock(t.Times, time.Second); err != nil {
		return err
	}
	s := t.spec("127.0.0.1:1", 0, 0, nil)
	return s.Validate()
}

// spec is what connection i sends.
func (t *Traffic) spec(host string, i int, seed uint64, times payload.Clock) payload.Spec {
	query := ""
	if t.Ack != "" && t.Ack != "log" {
		query = "?ack=" + t.Ack
	}
	return payload.Spec{
		Host: cmp.Or(t.host, host), Table: t.Table, Tables: t.Tables, Format: t.Format, Mix: t.Mix, Size: t.Size, Events: t.Events, Query: query,
		Partitions: t.Partitions, Times: times, First: uint64(i), Step: uint64(t.Connections), Seed: seed,
	}
}

// clock reads Traffic.Times: "" for none, so that the server takes the time of receipt; "warp:60" runs 60 times as fast;
// "scatter:365" spreads over so many days past; "replay:365" walks through them an hour a request.
func clock(s string, length time.Duration) (payload.Clock, error) {
	if s == "" {
		return nil, nil
	}
	kind, arg, _ := strings.Cut(s, ":")
	n, err := strconv.Atoi(arg)
	if err != nil || n < 1 || n > 10_000 {
		return nil, fmt.Errorf("event times %q: write warp:60 (times as fast), scatter:365 or replay:365 (days)", s)
	}
	days := time.Duration(n) * 24 * time.Hour
	switch kind {
	case "warp":
		return payload.Warped(n, length), nil
	case "scatter":
		return payload.Scattered(days), nil
	case "replay":
		return payload.Replayed(days, time.Hour), nil
	}
	return nil, fmt.Errorf("event times %q: write warp:60 (times as fast), scatter:365 or replay:365 (days)", s)
}

// Duration is a time.Duration that is text in JSON: "10s".
type Duration time.Duration

// MarshalText writes a duration as flags do.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = Duration(v)
	return err
}

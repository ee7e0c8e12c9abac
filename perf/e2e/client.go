package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"testing"
	"time"
)

// requestTime bounds a request. The daemon answers or refuses within seconds; a request that takes longer hangs.
const requestTime = 30 * time.Second

// Event is what a producer posts.
type Event struct {
	Partition int32
	TimeMs    int64
	Key       string // empty: none
	Payload   []byte
	Verbatim  bool // Payload is the text of a JSON value, and is sent as that value; otherwise as a string of its bytes
}

// Row is the event as the table must hold it once acked as (log, sequence).
func (e Event) Row(log string, sequence int64) Row {
	return Row{
		Log: log, Sequence: sequence, Partition: e.Partition, EventTime: e.TimeMs * 1000,
		HasKey: e.Key != "", Key: e.Key, Payload: string(e.Payload),
	}
}

// Ack is the daemon's answer to accepted events.
type Ack struct {
	Table      string `json:"table"`
	Log        string `json:"log"`
	First      int64  `json:"first_sequence"`
	Last       int64  `json:"last_sequence"`
	Accepted   int    `json:"accepted"`
	Duplicates int    `json:"duplicates"`
}

// StatusError is an answer that is no success.
type StatusError struct {
	Status     int
	RetryAfter string
	Body       string
}

func (e *StatusError) Error() string { return fmt.Sprintf("status %d: %s", e.Status, e.Body) }

// code is the error's code, or the status where the answer has none.
func (e *StatusError) code() string {
	var body struct {
		Error struct {
			Code string `json:"code"`
		} `json:"error"`
	}
	if err := json.Unmarshal([]byte(e.Body), &body); err != nil || body.Error.Code == "" {
		return http.StatusText(e.Status)
	}
	return body.Error.Code
}

// Client talks to one daemon. Safe for concurrent use.
type Client struct {
	URL  string
	HTTP *http.Client
}

// NewClient makes a client that holds up to conns connections open.
func NewClient(url string, conns int) *Client {
	return &Client{url, &http.Client{
		Timeout:   requestTime,
		Transport: &http.Transport{MaxIdleConnsPerHost: conns, MaxConnsPerHost: conns},
	}}
}

// Client is a client of the daemon with a connection for each of a few goroutines.
func (d *Daemon) Client() *Client { return NewClient(d.URL, 8) }

// Do sends a request and decodes a successful answer into out, unless out is nil. An answer that is no success is a
// *StatusError; any other error leaves open whether the daemon did what was asked.
func (c *Client) Do(ctx context.Context, method, path string, header http.Header, body []byte, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, c.URL+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	// net/http sends a request with an Idempotency-Key again by itself when its connection breaks, and then reports the
	// second try's error alone: a refused connection would hide that the daemon had the request. It can't without
	// GetBody.
	req.GetBody = nil
	for k, v := range header {
		req.Header[k] = v
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return &StatusError{resp.StatusCode, resp.Header.Get("Retry-After"), string(text)}
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("decode answer %.300s: %w", text, err)
	}
	return nil
}

// Single posts one event by itself: the body is the payload.
func (c *Client) Single(ctx context.Context, table string, e Event) (Ack, error) {
	h := http.Header{
		"X-Partition":    {strconv.Itoa(int(e.Partition))},
		"X-Timestamp-Ms": {strconv.FormatInt(e.TimeMs, 10)},
	}
	if e.Key != "" {
		h.Set("Idempotency-Key", e.Key)
	}
	var a Ack
	err := c.Do(ctx, "POST", "/tables/"+table, h, e.Payload, &a)
	return a, err
}

// Bulk posts events as one JSON document. binary says that the table's payload is binary.
func (c *Client) Bulk(ctx context.Context, table string, binary bool, events []Event) (Ack, error) {
	body := []byte(`{"records":[`)
	for i, e := range events {
		if i > 0 {
			body = append(body, ',')
		}
		body = appendRecord(body, e, binary)
	}
	body = append(body, "]}"...)
	var a Ack
	err := c.Do(ctx, "POST", "/tables/"+table+"/bulk", http.Header{"Content-Type": {"application/json"}}, body, &a)
	return a, err
}

func appendRecord(b []byte, e Event, binary bool) []byte {
	var quoted []byte
	switch {
	case binary:
		b = append(b, `{"payload_base64":"`...)
		b = base64.StdEncoding.AppendEncode(b, e.Payload)
		b = append(b, '"')
	case e.Verbatim:
		b = append(append(b, `{"payload":`...), e.Payload...)
	default:
		quoted, _ = json.Marshal(string(e.Payload)) // a string always marshals
		b = append(append(b, `{"payload":`...), quoted...)
	}
	b = fmt.Appendf(b, `,"partition":%d,"timestamp_ms":%d`, e.Partition, e.TimeMs)
	if e.Key != "" {
		quoted, _ = json.Marshal(e.Key)
		b = append(append(b, `,"idempotency_key":`...), quoted...)
	}
	return append(b, '}')
}

// commitTime bounds a commit, however busy the machine is.
const commitTime = 5 * time.Minute

// Commit cuts and commits what a table has, and returns the snapshot's id: where the daemon puts the client off, because
// it takes longer than a balancer waits, once it is done.
func (c *Client) Commit(t testing.TB, table string) int64 {
	t.Helper()
	var out struct {
		Status     string `json:"status"`
		SnapshotID int64  `json:"snapshot_id"`
		StatusURL  string `json:"status_url"`
	}
	ctx, cancel := context.WithTimeout(context.Background(), commitTime)
	defer cancel()
	err := c.Do(ctx, "POST", "/tables/"+table+"/commit", nil, nil, &out)
	for err == nil && out.Status == "pending" {
		time.Sleep(100 * time.Millisecond)
		err = c.Do(ctx, "GET", out.StatusURL, nil, nil, &out)
	}
	if err != nil {
		t.Fatalf("commit %s: %v", table, err)
	}
	if out.Status != "committed" {
		t.Fatalf("commit %s: it is %q", table, out.Status)
	}
	return out.SnapshotID
}

// Put makes a table with settings, a JSON object.
func (c *Client) Put(t testing.TB, table, settings string) {
	t.Helper()
	if err := c.Do(context.Background(), "PUT", "/tables/"+table, http.Header{"Content-Type": {"application/json"}}, []byte(settings), nil); err != nil {
		t.Fatalf("put %s: %v", table, err)
	}
}

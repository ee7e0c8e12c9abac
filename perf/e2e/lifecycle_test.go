package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// count reads how many rows a table has, with an engine that is quick to start.
func count(t *testing.T, data, table string) (n int) {
	t.Helper()
	ReadRows(t, "duckdb-folder", filepath.Join(data, "warehouse", "default", table), func(Row) { n++ })
	return n
}

func numbered(from, to int, keyed bool) (events []Event) {
	for i := from; i < to; i++ {
		e := Event{TimeMs: time.Now().UnixMilli(), Payload: fmt.Appendf(nil, `{"n":%d}`, i)}
		if keyed {
			e.Key = fmt.Sprintf("key-%d", i)
		}
		events = append(events, e)
	}
	return events
}

func bulk(t *testing.T, c *Client, table string, events []Event) Ack {
	t.Helper()
	ack, err := c.Bulk(context.Background(), table, false, events)
	if err != nil {
		t.Fatal(err)
	}
	return ack
}

// Nobody asks for a commit: events are in the table within the cut interval and a little.
func TestCommitsByItself(t *testing.T) {
	d := Start(t, Options{Data: t.TempDir(), Flags: []string{"-cut-interval", "1s"}})
	c := d.Client()
	bulk(t, c, "clicks", numbered(0, 10, false))
	began := time.Now()
	for {
		var w struct {
			Backlog int64 `json:"backlog_events"`
		}
		if err := c.Do(context.Background(), "GET", "/tables/clicks/watermark", nil, nil, &w); err != nil {
			t.Fatal(err)
		}
		if w.Backlog == 0 {
			break
		}
		if time.Since(began) > 20*time.Second {
			t.Fatalf("after %v the backlog is %d", time.Since(began), w.Backlog)
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Logf("committed after %v", time.Since(began).Round(time.Millisecond))
	if n := count(t, d.Data, "clicks"); n != 10 {
		t.Errorf("the table has %d rows, want 10", n)
	}
}

// SIGTERM leaves what is not committed to the next start; -drain commits it, and takes nothing.
func TestStopAndDrain(t *testing.T) {
	data := t.TempDir()
	hourly := []string{"-cut-interval", "1h"}
	d := Start(t, Options{Data: data, Flags: hourly})
	first := bulk(t, d.Client(), "clicks", numbered(0, 100, true))
	began := time.Now()
	d.Stop()
	if took := time.Since(began); took > 10*time.Second && !raceEnabled {
		t.Errorf("SIGTERM took %v, want at most 10 s", took)
	}

	// A new run is a new log; a retry of an old key is answered as the first time, and stores nothing.
	d = Start(t, Options{Data: data, Flags: hourly})
	again := bulk(t, d.Client(), "clicks", numbered(0, 100, true))
	if again.Accepted != 0 || again.Duplicates != 100 || again.Log != first.Log || again.First != first.First || again.Last != first.Last {
		t.Errorf("a retry after a restart was answered with %+v, the first time with %+v", again, first)
	}
	second := bulk(t, d.Client(), "clicks", numbered(100, 150, false))
	if second.Log <= first.Log {
		t.Errorf("the second run's log %s does not follow the first's %s", second.Log, first.Log)
	}
	if second.First != 1 {
		t.Errorf("a new log begins at sequence %d, want 1", second.First)
	}
	d.Stop()

	Drain(t, Options{Data: data, Flags: hourly}, time.Minute)
	if n := count(t, data, "clicks"); n != 150 {
		t.Errorf("after -drain the table has %d rows, want 150", n)
	}
}

// One directory, one daemon: a second one is refused at once, and the first goes on.
func TestSecondDaemonIsRefused(t *testing.T) {
	d := Start(t, Options{Data: t.TempDir()})
	second := Launch(t, Options{Data: d.Data})
	if err := second.Wait(20 * time.Second); err == nil {
		t.Error("a second ingestd on the same directory exited 0")
	} else if text := second.Log(2000); !strings.Contains(text, d.Data) {
		t.Errorf("the refusal does not name the directory:\n%s", text)
	}
	bulk(t, d.Client(), "clicks", numbered(0, 1, false))
}

// Wrong flags end the start with all violations, before anything is touched.
func TestWrongFlagsAreRefused(t *testing.T) {
	d := Launch(t, Options{Data: t.TempDir(), Flags: []string{"-cut-interval", "1ns", "-dedup-window", "1s", "-warehouse", "ftp://x"}})
	if err := d.Wait(20 * time.Second); err == nil {
		t.Error("wrong flags exited 0")
	}
	for _, want := range []string{"-cut-interval", "-dedup-window", "-warehouse"} {
		if text := d.Log(4000); !strings.Contains(text, want) {
			t.Errorf("the refusal does not name %s:\n%s", want, text)
		}
	}
}

// Bad input costs its sender a 4xx with a stable code, and stores nothing; package httpapi has the long list.
func TestBadInputStoresNothing(t *testing.T) {
	d := Start(t, Options{Data: t.TempDir(), Flags: []string{"-cut-interval", "1h"}})
	c := d.Client()
	bulk(t, c, "clicks", numbered(0, 1, false))
	f := func(path, contentType, body, code string) {
		t.Helper()
		err := c.Do(context.Background(), "POST", path, http.Header{"Content-Type": {contentType}}, []byte(body), nil)
		var status *StatusError
		if !errors.As(err, &status) || status.Status < 400 || status.Status > 499 || !strings.Contains(status.Body, `"`+code+`"`) {
			t.Errorf("POST %s %.60q: %v, want a 4xx with code %s", path, body, err, code)
		}
	}
	const json = "application/json"
	f("/tables/clicks/bulk", json, `{"records":[{"payload":1},{"payload":`, "truncated_json")
	f("/tables/clicks/bulk", json, `{"records":[{"payload":1},{"payload":"\ud800"}]}`, "lone_surrogate")
	f("/tables/clicks/bulk", json, `{"records":[{"payload":1},{"payload":2,"timestamp_ms":1700}]}`, "timestamp_out_of_range")
	f("/tables/clicks/bulk", json, `{"records":[{"payload":`+strings.Repeat("[", 5000)+`]}`, "json_too_deep")
	f("/tables/Clicks", "", `{}`, "bad_table_name")
	c.Commit(t, "clicks")
	if n := count(t, d.Data, "clicks"); n != 1 {
		t.Errorf("the table has %d rows, want 1", n)
	}
}

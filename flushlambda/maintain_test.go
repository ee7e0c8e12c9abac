package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"firn/commitlib/maintain"
	"firn/commitlib/objstore"
)

// leftClaim leaves a claim behind that the watermark has passed: what a sweep removes at once.
func (l *lake) leftClaim() (key string) {
	l.t.Helper()
	root, _ := objstore.Key(l.store, l.table.Location)
	key = fmt.Sprintf("%s/_firn/claims/%s/1-10-0a1b2c3d.json", root, l.log)
	if _, err := l.store.Put(context.Background(), key, []byte("{}"), objstore.Condition{}); err != nil {
		l.t.Fatal(err)
	}
	return key
}

func (l *lake) has(key string) bool {
	_, err := l.store.Head(context.Background(), key)
	return err == nil
}

// The delivered program maintains its tables when a schedule says so, and commits as before.
func TestBootstrapMaintains(t *testing.T) {
	l := dirLake(t)
	p := l.start()
	if got := invoke(t, p, batch(t, tableID.String(), map[string]string{"m1": l.request(1, 10)}, "m1")); got.Failed {
		t.Fatalf("answered %s", got.Body)
	}
	key := l.leftClaim()
	f := func(event string, removed int, stays bool) {
		t.Helper()
		got := invoke(t, p, []byte(event))
		var answer struct {
			Tables, Errors int
			More           bool
			Reports        map[string][]struct {
				Report struct {
					Removed map[string]struct{ Objects int }
				}
			}
		}
		if err := json.Unmarshal(got.Body, &answer); err != nil || got.Failed || answer.Tables != 1 || answer.Errors != 0 || answer.More {
			t.Fatalf("%s: answered %s: %v", event, got.Body, err)
		}
		n := 0
		for _, r := range answer.Reports[tableID.String()] {
			n += r.Report.Removed["claim"].Objects
		}
		if n != removed || l.has(key) != stays {
			t.Errorf("%s: removed %d, want %d; it is there: %v; %s", event, n, removed, l.has(key), got.Body)
		}
	}
	f(`{"maintain":{"dry_run":true,"scope":"whole"}}`, 1, true)
	f(`{"version":"0","id":"6f1c2a54","detail-type":"Scheduled Event","source":"aws.events","account":"123456789012","time":"2026-11-23T06:00:00Z","region":"eu-west-1","resources":["arn:aws:events:eu-west-1:123456789012:rule/firn"],"detail":{}}`, 1, false)
	key = l.leftClaim()
	f(`{"version":"0","detail-type":"Scheduled Event","source":"aws.scheduler","detail":"{}"}`, 1, false)
	f(`{"maintain":{"scope":"metadata"}}`, 0, false)
	for _, event := range []string{`{"maintain":{"dryrun":true}}`, `{"maintain":{"scope":"all"}}`, `{"maintain":{"dry_run":"yes"}}`,
		`{"maintain":{"scope":"whole"},"dry_run":true}`, `{"dry_run":true}`, `{"Records":[],"maintain":{}}`} {
		if got := invoke(t, p, []byte(event)); !got.Failed {
			t.Errorf("%s: answered %s", event, got.Body)
		}
	}
	if got := invoke(t, p, batch(t, tableID.String(), map[string]string{"m2": l.request(11, 15)}, "m2")); got.Failed || string(got.Body) != nothingAgain {
		t.Errorf("a batch after it: answered %s", got.Body)
	}
	if mark, rows := l.state(); mark != 15 || rows != "15" {
		t.Errorf("watermark %d and %s rows, want 15 and 15", mark, rows)
	}
}

// Maintenance ends before the invocation does, with what is left told.
func TestMaintenanceEndsInTime(t *testing.T) {
	l := dirLake(t)
	s, err := settingsFrom(append(l.env, "AWS_LAMBDA_RUNTIME_API=x"), false)
	if err != nil {
		t.Fatal(err)
	}
	svc, err := open(s, &strings.Builder{}, silent())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), answerTime-time.Millisecond)
	defer cancel()
	got, err := svc.invoke(ctx, event{order: &maintain.Options{}})
	if answer, ok := got.(maintained); err != nil && !strings.Contains(err.Error(), "deadline") || err == nil && (!ok || !answer.More) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestMaintenanceSettings(t *testing.T) {
	f := func(want string, namespaces []string, every time.Duration, env ...string) {
		t.Helper()
		s, err := settingsFrom(append(env, "FIRN_WAREHOUSE="+t.TempDir(), "AWS_LAMBDA_RUNTIME_API=x"), false)
		if want != "" {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %v, want %q", env, err, want)
			}
			return
		}
		if err != nil || !slices.Equal(s.Namespaces, namespaces) || s.MaintainInterval != every {
			t.Errorf("%q: %q each %v, %v", env, s.Namespaces, s.MaintainInterval, err)
		}
	}
	f("", []string{"default"}, 10*time.Minute)
	f("", []string{"web", "shop"}, 0, "FIRN_NAMESPACES=web,shop", "FIRN_MAINTAIN_INTERVAL=0")
	f("", []string{"default"}, time.Hour, "FIRN_MAINTAIN_INTERVAL=1h")
	f("FIRN_NAMESPACES", nil, 0, "FIRN_NAMESPACES=web, shop")
	f("FIRN_MAINTAIN_INTERVAL", nil, 0, "FIRN_MAINTAIN_INTERVAL=1s")
	f("FIRN_MAINTAIN_INTERVAL", nil, 0, "FIRN_MAINTAIN_INTERVAL=often")
}

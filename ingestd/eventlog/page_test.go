package eventlog

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/google/uuid"

	"firn/ingestd/kv"
)

func TestReadPage(t *testing.T) {
	m := kv.NewMem()
	var want []string
	var logs []uuid.UUID
	for run := range 3 {
		l := mustOpen(t, m, testConfig())
		for i := range 4 {
			events := numbered(fmt.Sprintf("run%d-%d", run, i), 5)
			logs = append(logs, mustPut(t, l, "t", events...).Log)
			want = append(want, events...)
			mustPut(t, l, "other", "not asked for")
		}
		_ = l.Close()
	}
	l := mustOpen(t, m, testConfig())
	walk := func(q Query) (got []string, pages int) {
		t.Helper()
		for pages = 1; ; pages++ {
			p, err := l.ReadPage(context.Background(), q)
			if err != nil {
				t.Fatal(err)
			}
			if len(p.Events) > max(q.Limit, 1) && q.Limit > 0 {
				t.Fatalf("%d events for a limit of %d", len(p.Events), q.Limit)
			}
			for _, e := range p.Events {
				got = append(got, string(e.Payload))
			}
			if !p.More {
				return got, pages
			}
			q.Log, q.From = p.Log, p.Next
			if pages > 1000 {
				t.Fatal("no end")
			}
		}
	}
	uid := table("t").UUID
	for _, limit := range []int{0, 1, 2, 7, 60, 1 << 30} {
		if got, _ := walk(Query{Table: uid, Limit: limit}); !slices.Equal(got, want) {
			t.Errorf("limit %d: %d events, want %d", limit, len(got), len(want))
		}
	}
	if got, pages := walk(Query{Table: uid, MaxBytes: 20}); !slices.Equal(got, want) || pages < 30 {
		t.Errorf("pages of 20 bytes: %d events in %d pages", len(got), pages)
	}
	if got, _ := walk(Query{Table: uid, Log: logs[4], From: 3}); !slices.Equal(got, want[22:]) {
		t.Errorf("from the second log's third event: %d events, want %d", len(got), len(want)-22)
	}
	lane := int32(2)
	got, _ := walk(Query{Table: uid, Partition: &lane, Limit: 3})
	var expect []string
	for i, e := range want {
		if i%5%3 == 2 {
			expect = append(expect, e)
		}
	}
	if !slices.Equal(got, expect) {
		t.Errorf("partition 2: %v, want %v", got, expect)
	}
	if got, _ := walk(Query{Table: table("nobody").UUID}); len(got) != 0 {
		t.Errorf("an unknown table has %v", got)
	}
	// What is trimmed is said to be.
	first := l.Tracks()[0]
	for _, i := range l.Tracks() {
		if i.Log == first.Log {
			commitAll(t, l, i.Track)
		}
	}
	if err := l.Trim(present, nil); err != nil {
		t.Fatal(err)
	}
	p, err := l.ReadPage(context.Background(), Query{Table: uid, Log: first.Log, From: 2})
	if err != nil || !p.Trimmed || len(p.Events) != 40 {
		t.Errorf("after a trim: %v, trimmed %v, %d events", err, p.Trimmed, len(p.Events))
	}
}

func TestPageKeepsKeys(t *testing.T) {
	l := mustOpen(t, kv.NewMem(), testConfig())
	mustPut(t, l, "t", "k1|a", "b", "|empty key")
	p, err := l.ReadPage(context.Background(), Query{Table: table("t").UUID})
	if err != nil || len(p.Events) != 3 {
		t.Fatalf("%+v, %v", p, err)
	}
	if e := p.Events; string(e[0].Key) != "k1" || e[1].Key != nil || e[2].Key == nil || e[0].Time != 0 || e[2].Time != 2000 || e[1].Partition != 1 || e[0].Ingest != present.UnixMicro() {
		t.Errorf("got %+v", e)
	}
}

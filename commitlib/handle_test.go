package commitlib

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
	"firn/commitlib/objstore"
)

func message(t testing.TB, id string, r *Request) Message {
	t.Helper()
	body, err := Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	return Message{ID: id, Group: r.Group(), Body: body}
}

func (w *world) handle(c *Committer, want string, msgs ...Message) {
	w.Helper()
	again := c.Handle(w.Context(), msgs)
	if got := strings.Join(again, " "); got != want || again == nil {
		w.Fatalf("to deliver again: %q (nil: %v), want %q", got, again == nil, want)
	}
}

func TestHandleAcknowledgesWhatIsDecided(t *testing.T) {
	w := newWorld(t)
	var letters []string
	cfg := w.config()
	cfg.DeadLetter = func(_ context.Context, m Message, reason string) error {
		letters = append(letters, m.ID+": "+reason)
		return nil
	}
	c := New(w.cat, w.store, cfg)
	a, b := w.log(), w.log()
	bad := w.request(b, 1, 1)
	bad.SpecID = 9
	foreign := message(t, "foreign", w.request(a, 1, 5))
	foreign.Group = "default.other"
	w.handle(c, "",
		message(t, "2", w.request(a, 6, 9)), message(t, "1", w.request(a, 1, 5)), message(t, "dup", w.request(a, 1, 5)),
		Message{ID: "junk", Group: "default.clicks", Body: []byte("{")}, message(t, "bad", bad), message(t, "gap", w.request(b, 3, 3)),
		foreign)
	w.holds(map[uuid.UUID]Seq{a: 9})
	slices.Sort(letters)
	if len(letters) != 3 || !strings.Contains(letters[0], "bad: partition spec 9") || !strings.Contains(letters[1], "foreign: message of group") || !strings.Contains(letters[2], "junk: decode") {
		t.Errorf("dead letters %q", letters)
	}
	if n := c.Counters(); n.Commits != 1 || n.DeadLettered != 3 || n.Gaps != 1 || n.Rejected != 1 {
		t.Errorf("counters %+v", n)
	}

	note, err := RejectedNote(t.Context(), w.store, "default/clicks", b)
	if err != nil || note == nil || note.TableUUID != bad.TableUUID || note.First != 1 || !strings.Contains(note.Reason, "spec 9") || note.Advice == "" || !note.At.Equal(w.clock()) {
		t.Fatalf("note %+v, %v", note, err)
	}
	bad.First, bad.Last = 1, 2
	bad.Files[0].RecordCount = 2
	w.handle(c, "", message(t, "bad again", bad))
	if note, err := RejectedNote(t.Context(), w.store, "default/clicks", b); err != nil || note.Last != 2 {
		t.Errorf("the newer note: %+v, %v", note, err)
	}
	if err := ClearRejected(t.Context(), w.store, "default/clicks", b); err != nil {
		t.Error(err)
	}
	for _, log := range []uuid.UUID{a, b} {
		if note, err := RejectedNote(t.Context(), w.store, "default/clicks", log); note != nil || err != nil {
			t.Errorf("log %s: note %+v, %v", log, note, err)
		}
	}
}

func TestHandleReturnsAllFromTheFirstFailureOfAGroup(t *testing.T) {
	w := newWorld(t)
	c := w.committer()
	a := w.log()
	w.handle(c, "", message(t, "0", w.request(a, 1, 1)))
	msgs := []Message{message(t, "dup", w.request(a, 1, 1)), message(t, "1", w.request(a, 2, 3)), message(t, "2", w.request(a, 1, 1)), message(t, "3", w.request(a, 4, 4))}
	broken := errors.New("store is broken")
	w.store.SetFault(func(objstore.Call) objstore.Fault { return objstore.Fault{Err: broken} })
	w.handle(c, "1 2 3", msgs...) // the duplicate is decided without the store
	w.store.SetFault(nil)
	w.handle(c, "", msgs[1:]...)
	w.holds(map[uuid.UUID]Seq{a: 4})
}

func TestHandleKeepsWhatItCouldNotReport(t *testing.T) {
	w := newWorld(t)
	cfg := w.config()
	refuse := true
	cfg.DeadLetter = func(context.Context, Message, string) error {
		if refuse {
			return errors.New("dead-letter queue is down")
		}
		return nil
	}
	c := New(w.cat, w.store, cfg)
	a := w.log()
	bad := w.request(w.log(), 1, 1)
	bad.SpecID = 9
	junk := Message{ID: "junk", Group: "default.clicks", Body: []byte("{")}
	w.handle(c, "junk next", junk, message(t, "next", w.request(a, 1, 1)))
	w.handle(c, "bad", message(t, "bad", bad))
	refuse = false
	w.handle(c, "", junk)
}

func TestNoteThatCannotBeWrittenKeepsTheMessage(t *testing.T) {
	w := newWorld(t)
	c := w.committer()
	bad := w.request(w.log(), 1, 1)
	bad.SpecID = 9
	w.store.SetFault(func(c objstore.Call) objstore.Fault {
		if strings.Contains(c.Key, "/_firn/rejected/") {
			return objstore.Fault{Err: errors.New("store is broken")}
		}
		return objstore.Fault{}
	})
	w.handle(c, "bad", message(t, "bad", bad))
	w.store.SetFault(nil)
	w.handle(c, "", message(t, "bad", bad))
}

// TestHandleReturnsBeforeItsDeadline has one table whose store calls hang: the others
// are served, and its messages come again.
func TestHandleReturnsBeforeItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.store.SetClock(time.Now, sleep)
		cfg := Config{} // the real clock, which is the bubble's
		c := New(w.cat, w.store, cfg)
		var msgs []Message
		var ids []uuid.UUID
		for i := range 6 {
			id := catalog.Ident{Namespace: "default", Name: fmt.Sprintf("t%d", i)}
			table, err := w.cat.Create(t.Context(), id, catalog.Spec{
				Schema: iceberg.EventSchema(iceberg.String), Partition: w.table.Metadata.DefaultSpec(), Properties: NewTableProperties(),
			})
			if err != nil {
				t.Fatal(err)
			}
			r := w.request(w.log(), 1, 1)
			r.Table, r.TableUUID, r.StagedAt = id, table.Metadata.TableUUID, time.Now()
			r.Files[0].Path = table.Location + strings.TrimPrefix(r.Files[0].Path, r.Location)
			r.Location = table.Location
			msgs, ids = append(msgs, message(t, id.Name, r)), append(ids, r.Log)
		}
		w.store.SetFault(func(c objstore.Call) objstore.Fault {
			if strings.HasPrefix(c.Key, "default/t2/") {
				return objstore.Fault{Latency: time.Hour}
			}
			return objstore.Fault{Latency: 20 * time.Millisecond}
		})
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		began := time.Now()
		again := c.Handle(ctx, msgs)
		if took := time.Since(began); took > 29*time.Second+time.Millisecond {
			t.Errorf("took %s of 30 s", took)
		}
		if len(again) != 1 || again[0] != "t2" {
			t.Errorf("to deliver again: %v", again)
		}
		for i, log := range ids {
			if i == 2 {
				continue
			}
			table, err := w.cat.Load(t.Context(), catalog.Ident{Namespace: "default", Name: fmt.Sprintf("t%d", i)})
			if err != nil {
				t.Fatal(err)
			}
			if got, err := ReadWatermark(t.Context(), w.store, table, log); got != 1 || err != nil {
				t.Errorf("table %d: watermark %d, %v", i, got, err)
			}
		}
		if done := c.Handle(canceled(t), msgs); len(done) != len(msgs) {
			t.Errorf("without time left, to deliver again: %v", done)
		}
	})
}

func canceled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func TestParentsAreBounded(t *testing.T) {
	w := newWorld(t)
	table := w.load()
	s := parents{max: 3, maxBytes: 1 << 20, held: make(map[catalog.Ident]*parent)}
	id := func(i int) catalog.Ident { return catalog.Ident{Namespace: "default", Name: fmt.Sprintf("t%d", i)} }
	for i := range 10 {
		s.put(id(i), &parent{table: table})
	}
	if len(s.held) != 3 || s.held[id(9)] == nil || s.held[id(7)] == nil {
		t.Errorf("%d parents held, want the last three", len(s.held))
	}
	one := s.held[id(9)].size
	s.maxBytes = 2 * one
	s.put(id(9), &parent{table: table})
	if len(s.held) != 2 || s.bytes > s.maxBytes || s.held[id(9)] == nil {
		t.Errorf("%d parents of %d bytes held, the bound is %d", len(s.held), s.bytes, s.maxBytes)
	}
	s.maxBytes = one - 1
	s.put(id(1), &parent{table: table})
	if s.held[id(1)] != nil {
		t.Error("a parent beyond the bound is held")
	}
	if p := s.take(id(9)); p == nil || s.take(id(9)) != nil {
		t.Error("a parent is not taken once")
	}
	s.take(id(8))
	if s.bytes != 0 || len(s.held) != 0 {
		t.Errorf("%d bytes of %d parents are left", s.bytes, len(s.held))
	}
}

func TestConfigNamesEveryViolation(t *testing.T) {
	if err := DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	err := Config{MaxAttempts: -1, BackoffMax: time.Millisecond, Parallel: -2}.Validate()
	for _, want := range []string{"MaxAttempts is -1", "BackoffMax 1ms", "Parallel is -2"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
}

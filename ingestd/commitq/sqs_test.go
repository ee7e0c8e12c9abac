package commitq

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"firn/commitlib/fifo"
	"firn/commitlib/objstore"
)

// fakeSQS takes messages as told, and notes how it was called.
type fakeSQS struct {
	mu       sync.Mutex
	taken    map[string][]string // ids by group
	sizes    []int               // messages of each call
	at       []time.Time         // of each call
	running  map[string]bool
	most     int // calls at the same time
	now      int
	fault    string
	looked   int // at the attributes
	maxBytes int
	latency  time.Duration
	// answer says what becomes of a message: nil is taken. whole is the whole call's.
	answer func(m Message) error
	whole  func() error
}

func newFakeSQS() *fakeSQS {
	return &fakeSQS{taken: map[string][]string{}, running: map[string]bool{}, maxBytes: 1 << 20}
}

func (f *fakeSQS) MaxBytes() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.maxBytes
}

func (f *fakeSQS) Attributes(context.Context) (fifo.Attributes, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.looked++
	return fifo.Attributes{}, nil
}

func (f *fakeSQS) Send(ctx context.Context, msgs []Message) error {
	f.mu.Lock()
	f.sizes, f.at = append(f.sizes, len(msgs)), append(f.at, time.Now())
	f.now++
	f.most = max(f.most, f.now)
	groups := map[string]bool{}
	size := 0
	for _, m := range msgs {
		groups[m.Group] = true
		size += len(m.Body)
	}
	for g := range groups {
		if f.running[g] {
			f.fault = "two calls of one group at a time"
		}
		f.running[g] = true
	}
	if len(msgs) > MaxBatch || size > f.maxBytes && len(msgs) > 1 {
		f.fault = fmt.Sprintf("a call of %d messages, %d bytes", len(msgs), size)
	}
	f.mu.Unlock()
	if f.latency > 0 {
		select {
		case <-time.After(f.latency):
		case <-ctx.Done():
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now--
	for g := range groups {
		delete(f.running, g)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if f.whole != nil {
		if err := f.whole(); err != nil {
			return err
		}
	}
	var failed []fifo.Failure
	for i, m := range msgs {
		if f.answer != nil {
			if err := f.answer(m); err != nil {
				failed = append(failed, fifo.Failure{Index: i, ID: m.ID, Err: err})
				continue
			}
		}
		f.taken[m.Group] = append(f.taken[m.Group], m.ID)
	}
	if failed != nil {
		return &fifo.SendError{Failed: failed}
	}
	return nil
}

func (f *fakeSQS) check(t *testing.T) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fault != "" {
		t.Fatal(f.fault)
	}
}

func (f *fakeSQS) calls() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.sizes)
}

func newSender(t *testing.T, f *fakeSQS, change func(*SQSConfig)) *SQS {
	t.Helper()
	cfg := DefaultSQSConfig()
	cfg.Seed = 1
	if change != nil {
		change(&cfg)
	}
	q, err := newSQS(f, objstore.NewMem("mem://wh"), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func mustSend(t *testing.T, q Queue, msgs ...Message) {
	t.Helper()
	if err := q.Send(t.Context(), msgs); err != nil {
		t.Fatal(err)
	}
}

func mustClose(t *testing.T, q *SQS) {
	t.Helper()
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := q.Stats(); s.Messages != 0 || s.Bytes != 0 || s.Handled+s.GivenUp != s.Sent {
		t.Errorf("left %+v", s)
	}
}

// What comes while a call is under way goes with the next: 201 tables cost 21 calls. And one message alone goes at once.
func TestMessagesOfManyTablesShareCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSQS()
		f.latency = 20 * time.Millisecond
		q := newSender(t, f, nil)
		start := time.Now()
		for i := range 201 {
			mustSend(t, q, messages(fmt.Sprintf("t%d", i), 0, 1)...)
		}
		synctest.Wait()
		if f.calls() == 0 || !f.at[0].Equal(start) {
			t.Error("the first message waited")
		}
		mustClose(t, q)
		f.check(t)
		if n := f.calls(); n != 21 || f.most != 4 {
			t.Errorf("%d calls, %d at a time, want 21 and 4", n, f.most)
		}
		if took := time.Since(start); took > 7*20*time.Millisecond {
			t.Errorf("took %s", took)
		}
		if s := q.Stats(); s.Calls != 21 || s.Handled != 201 {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestGroupsOrderIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSQS()
		f.latency = 20 * time.Millisecond
		turn := 0
		f.whole = func() error { // every third call is not carried out
			if turn++; turn%3 == 0 {
				return errors.New("reset by peer")
			}
			return nil
		}
		q := newSender(t, f, nil)
		for i := range 40 {
			for _, g := range []string{"a", "b", "c"} {
				mustSend(t, q, messages(g, i, i+1)...)
			}
			time.Sleep(time.Millisecond)
		}
		mustClose(t, q)
		f.check(t)
		for _, g := range []string{"a", "b", "c"} {
			if !slices.Equal(f.taken[g], ids(messages(g, 0, 40))) {
				t.Errorf("group %s: %v", g, f.taken[g])
			}
		}
	})
}

// One table with much to send does not keep the others waiting.
func TestBusyGroupLeavesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSQS()
		f.latency = 20 * time.Millisecond
		q := newSender(t, f, nil)
		mustSend(t, q, messages("busy", 0, 1000)...)
		time.Sleep(time.Millisecond)
		mustSend(t, q, messages("other", 0, 1)...)
		time.Sleep(50 * time.Millisecond)
		f.mu.Lock()
		got := len(f.taken["other"])
		f.mu.Unlock()
		if got != 1 {
			t.Error("the other table still waits")
		}
		mustClose(t, q)
		f.check(t)
	})
}

func TestCallHoldsWhatTheQueueTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSQS()
		f.maxBytes = 100
		f.latency = 20 * time.Millisecond
		q := newSender(t, f, nil)
		var msgs []Message
		for i := range 10 {
			msgs = append(msgs, Message{ID: fmt.Sprint(i), Group: fmt.Sprint(i % 3), Body: make([]byte, 40)})
		}
		mustSend(t, q, msgs...)
		mustClose(t, q)
		f.check(t)
		if n := f.calls(); n != 5 {
			t.Errorf("%d calls of sizes %v, want 5", n, f.sizes)
		}
	})
}

func TestFullSenderRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSQS()
		f.latency = time.Minute
		q := newSender(t, f, func(c *SQSConfig) { c.MaxMessages, c.MaxBytes = 20, 1000 })
		mustSend(t, q, messages("big", 0, 30)...) // larger than the bound, into an empty queue
		if err := q.Send(t.Context(), messages("a", 0, 1)); !errors.Is(err, ErrFull) || strings.Contains(err.Error(), "since") {
			t.Errorf("got %v, want ErrFull", err)
		}
		time.Sleep(time.Hour)
		mustSend(t, q, messages("a", 0, 1)...)
		if err := q.Send(t.Context(), []Message{{ID: "x", Group: "b", Body: make([]byte, 995)}}); !errors.Is(err, ErrFull) {
			t.Errorf("got %v, want ErrFull for the bytes", err)
		}
		if s := q.Stats(); s.Refused != 2 {
			t.Errorf("stats %+v", s)
		}
		mustClose(t, q)
		if err := q.Send(t.Context(), messages("a", 0, 1)); !errors.Is(err, ErrClosed) {
			t.Errorf("got %v, want ErrClosed", err)
		}
	})
}

// An hour without SQS: what was accepted before it showed waits, in bounded memory; everything else is refused with the
// cause, which stands in the log once. Then each message goes out once, and the shippers' refused ones come after.
func TestOutageIsToldAndDoesNotPileUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSQS()
		f.latency = 10 * time.Millisecond
		cause := errors.New("connection refused")
		var down bool
		f.whole = func() error {
			if down {
				return cause
			}
			return nil
		}
		var log bytes.Buffer
		q := newSender(t, f, func(c *SQSConfig) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
		mustSend(t, q, messages("a", 0, 3)...)
		time.Sleep(time.Second)
		f.mu.Lock()
		down = true
		f.mu.Unlock()

		began, before := time.Now(), f.calls()
		accepted, refused := 3, 0
		for time.Since(began) < time.Hour {
			switch err := q.Send(t.Context(), messages("a", accepted, accepted+1)); {
			case err == nil:
				accepted++
			case errors.Is(err, ErrFull) && errors.Is(err, cause):
				refused++
			default:
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if accepted > 10 || refused < 3500 || q.Reachable(t.Context()) == nil {
			t.Errorf("%d accepted and %d refused in an hour, reachable: %v", accepted, refused, q.Reachable(t.Context()))
		}
		// A random wait between 3 and 30 s.
		if n := f.calls() - before; n < 120 || n > 500 {
			t.Errorf("%d calls in an hour without an answer", n)
		}
		if q.Stats().Messages > 10 {
			t.Errorf("%+v wait", q.Stats())
		}

		f.mu.Lock()
		down = false
		f.mu.Unlock()
		before = f.calls()
		time.Sleep(31 * time.Second)
		if n := f.calls() - before; n > 2 || q.Stats().Messages != 0 || q.Reachable(t.Context()) != nil {
			t.Errorf("%d calls for %d messages after it was back, %v", n, accepted, q.Stats())
		}
		mustSend(t, q, messages("a", accepted, accepted+1)...)
		mustClose(t, q)
		f.check(t)
		if !slices.Equal(f.taken["a"], ids(messages("a", 0, accepted+1))) {
			t.Errorf("taken %v", f.taken["a"])
		}
		if lines := strings.Count(log.String(), "\n"); lines != 2 || strings.Count(log.String(), "level=ERROR") != 1 || !strings.Contains(log.String(), "connection refused") {
			t.Errorf("the log says:\n%s", log.String())
		}
	})
}

// One lost call is no outage: nobody is refused, and the log is silent.
func TestHiccupIsNotTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSQS()
		n := 0
		f.whole = func() error {
			if n++; n < 4 {
				return errors.New("reset by peer")
			}
			return nil
		}
		var log bytes.Buffer
		q := newSender(t, f, func(c *SQSConfig) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
		mustSend(t, q, messages("a", 0, 1)...)
		time.Sleep(time.Second)
		mustSend(t, q, messages("a", 1, 2)...)
		mustClose(t, q)
		if log.Len() > 0 || q.Stats().Refused > 0 || q.Stats().CallErrors != 3 || !slices.Equal(f.taken["a"], []string{"a-0", "a-1"}) {
			t.Errorf("stats %+v, log %s", q.Stats(), log.String())
		}
	})
}

// A call that SQS carries out in part is not an outage; what it did not take goes again, slower.
func TestThrottledMessagesGoAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSQS()
		throttled := &fifo.Error{Kind: fifo.Throttled, Err: errors.New("request throttled")}
		var started time.Time
		n := 0
		f.answer = func(m Message) error {
			if n++; n%2 == 0 && time.Since(started) < time.Minute {
				return throttled
			}
			return nil
		}
		q := newSender(t, f, nil)
		started = time.Now()
		for i := range 100 {
			mustSend(t, q, messages(fmt.Sprintf("t%d", i), 0, 1)...)
		}
		mustClose(t, q)
		for i := range 100 {
			g := fmt.Sprintf("t%d", i)
			if !slices.Equal(f.taken[g], []string{g + "-0"}) {
				t.Errorf("group %s: %v", g, f.taken[g])
			}
		}
		if s := q.Stats(); s.Throttled == 0 || s.Refused != 0 || f.calls() > 60 {
			t.Errorf("%d calls, stats %+v", f.calls(), s)
		}
	})
}

// Daemons that an outage met together come back apart.
func TestBackoffsDiffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var waits []time.Duration
		for seed := range uint64(20) {
			q := newSender(t, newFakeSQS(), func(c *SQSConfig) { c.Seed = seed + 1 })
			q.fails = 30
			d := q.backoffLocked()
			if d < q.cfg.MaxBackoff/10 || d > q.cfg.MaxBackoff {
				t.Errorf("seed %d: %s", seed, d)
			}
			waits = append(waits, d)
		}
		slices.Sort(waits)
		if spread := waits[len(waits)-1] - waits[0]; spread < 10*time.Second {
			t.Errorf("20 daemons come back within %s", spread)
		}
	})
}

// A message that SQS never takes is dropped, told and counted; its neighbours go.
func TestMessageThatSQSNeverTakesIsGivenUp(t *testing.T) {
	f := func(t *testing.T, whole bool) {
		synctest.Test(t, func(t *testing.T) {
			f := newFakeSQS()
			bad := &fifo.Error{Kind: fifo.BadMessage, Err: errors.New("message must be shorter")}
			f.answer = func(m Message) error {
				if m.ID == "a-1" {
					return bad
				}
				return nil
			}
			if whole {
				f.whole = func() error {
					if last := f.sizes[len(f.sizes)-1]; last > 1 {
						return bad
					}
					return nil
				}
			}
			var log bytes.Buffer
			q := newSender(t, f, func(c *SQSConfig) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
			mustSend(t, q, messages("a", 0, 4)...)
			mustClose(t, q)
			if s := q.Stats(); s.GivenUp != 1 || s.Handled != 3 || f.looked != 1 || q.Reachable(t.Context()) != nil {
				t.Errorf("stats %+v, looked %d times", s, f.looked)
			}
			if !slices.Equal(f.taken["a"], []string{"a-0", "a-2", "a-3"}) || strings.Count(log.String(), "level=ERROR") != 1 {
				t.Errorf("taken %v, log %s", f.taken["a"], log.String())
			}
		})
	}
	t.Run("told for the message", func(t *testing.T) { f(t, false) })
	t.Run("told for the call", func(t *testing.T) { f(t, true) })
}

func TestCloseAbandonsWhatCannotBeSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, latency := range []time.Duration{0, time.Hour} {
			f := newFakeSQS()
			f.latency = latency
			f.whole = func() error { return errors.New("connection refused") }
			q := newSender(t, f, nil)
			mustSend(t, q, messages("a", 0, 3)...)
			mustSend(t, q, messages("b", 0, 30)...)
			time.Sleep(time.Minute) // backing off, or in a call
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			start := time.Now()
			if err := q.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			cancel()
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("took %s", took)
			}
			if s := q.Stats(); s.Messages != 0 || s.Bytes != 0 {
				t.Errorf("left %+v", s)
			}
		}
	})
}

// A stop that comes in the midst of a long wait does not sit it out.
func TestCloseTriesOnceMoreAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSQS()
		down := true
		f.whole = func() error {
			if down {
				return errors.New("connection refused")
			}
			return nil
		}
		q := newSender(t, f, func(c *SQSConfig) { c.MinBackoff, c.MaxBackoff = time.Hour, time.Hour })
		mustSend(t, q, messages("a", 0, 3)...)
		synctest.Wait()
		f.mu.Lock()
		down = false
		f.mu.Unlock()
		start := time.Now()
		mustClose(t, q)
		if took := time.Since(start); took > 0 || len(f.taken["a"]) != 3 {
			t.Errorf("took %s, taken %v", took, f.taken["a"])
		}
	})
}

func TestSenderIsConfigured(t *testing.T) {
	cfg := DefaultSQSConfig()
	cfg.MaxBackoff = 0
	if _, err := newSQS(newFakeSQS(), nil, cfg); err == nil {
		t.Error("a back-off without end was accepted")
	}
	if _, err := NewSQS(nil, nil, DefaultSQSConfig()); err == nil {
		t.Error("no queue was accepted")
	}
}

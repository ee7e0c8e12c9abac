package commitq

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// recorder is a handler that notes what it gets and answers as told.
type recorder struct {
	mu      sync.Mutex
	handled map[string][]string // ids by group, in the order of success
	batches map[string]int
	running map[string]bool
	most    int // groups handled at the same time
	fault   string
	answer  func(msgs []Message) (failed []string)
	latency time.Duration
}

func newRecorder() *recorder {
	return &recorder{handled: map[string][]string{}, batches: map[string]int{}, running: map[string]bool{}}
}

func (r *recorder) handle(ctx context.Context, msgs []Message) []string {
	group := msgs[0].Group
	r.mu.Lock()
	switch {
	case r.running[group]:
		r.fault = "two batches of one group at a time"
	case len(msgs) > MaxBatch:
		r.fault = fmt.Sprintf("a batch of %d", len(msgs))
	case slices.ContainsFunc(msgs, func(m Message) bool { return m.Group != group }):
		r.fault = "two groups in a batch"
	}
	r.running[group] = true
	r.most = max(r.most, len(r.running))
	r.mu.Unlock()
	if r.latency > 0 {
		select {
		case <-time.After(r.latency):
		case <-ctx.Done():
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.running, group)
	r.batches[group]++
	var failed []string
	if r.answer != nil {
		failed = r.answer(msgs)
	}
	for _, m := range msgs {
		if !slices.Contains(failed, m.ID) {
			r.handled[group] = append(r.handled[group], m.ID)
		}
	}
	return failed
}

func (r *recorder) check(t *testing.T) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fault != "" {
		t.Fatal(r.fault)
	}
}

func messages(group string, from, to int) []Message {
	var all []Message
	for i := from; i < to; i++ {
		all = append(all, Message{ID: fmt.Sprintf("%s-%d", group, i), Group: group, Body: []byte("0123456789")})
	}
	return all
}

func ids(msgs []Message) []string {
	var all []string
	for _, m := range msgs {
		all = append(all, m.ID)
	}
	return all
}

func newQueue(t *testing.T, r *recorder, change func(*Config)) *InProcess {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Seed = 1
	if change != nil {
		change(&cfg)
	}
	q, err := NewInProcess(r.handle, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestGroupsKeepTheirOrderAndDoNotWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder()
		r.latency = time.Second
		q := newQueue(t, r, nil)
		for _, g := range []string{"a", "b", "c", "d", "e"} {
			if err := q.Send(t.Context(), messages(g, 0, 25)); err != nil {
				t.Fatal(err)
			}
		}
		start := time.Now()
		if err := q.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		// 15 batches of a second, 4 groups at a time: 4 seconds, or 5 where the last batches are of one group.
		if took := time.Since(start); took < 4*time.Second || took > 5*time.Second {
			t.Errorf("took %s, want 4s or 5s", took)
		}
		r.check(t)
		for _, g := range []string{"a", "b", "c", "d", "e"} {
			if !slices.Equal(r.handled[g], ids(messages(g, 0, 25))) {
				t.Errorf("group %s: %v", g, r.handled[g])
			}
			if r.batches[g] != 3 {
				t.Errorf("group %s took %d batches, want 3", g, r.batches[g])
			}
		}
		if r.most != 4 {
			t.Errorf("%d groups at a time, want 4", r.most)
		}
		if s := q.Stats(); s.Messages != 0 || s.Bytes != 0 || s.Handled != 125 {
			t.Errorf("left %+v", s)
		}
	})
}

// A FIFO queue's handler returns the first failed message and all that follow it; they come again, in order, after a
// back-off that another group does not feel.
func TestFailedMessagesComeAgainInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder()
		fails := 3
		r.answer = func(msgs []Message) []string {
			if msgs[0].Group != "a" || fails == 0 {
				return nil
			}
			fails--
			return ids(msgs[2:])
		}
		var done []string
		q := newQueue(t, r, func(c *Config) { c.Done = func(g string) { done = append(done, g) } })
		if err := q.Send(t.Context(), messages("a", 0, 12)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := q.Send(t.Context(), messages("b", 0, 1)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(r.handled["b"]) != 1 {
			t.Error("another group waited for the back-off")
		}
		if err := q.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.check(t)
		if !slices.Equal(r.handled["a"], ids(messages("a", 0, 12))) {
			t.Errorf("handled %v", r.handled["a"])
		}
		if !slices.Contains(done, "a") || !slices.Contains(done, "b") {
			t.Errorf("Done told of %v", done)
		}
	})
}

func TestMessageThatAlwaysFailsIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder()
		r.answer = func(msgs []Message) []string {
			if msgs[0].ID == "a-0" {
				return ids(msgs)
			}
			return nil
		}
		q := newQueue(t, r, nil)
		start := time.Now()
		if err := q.Send(t.Context(), messages("a", 0, 3)); err != nil {
			t.Fatal(err)
		}
		if err := q.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if want := []string{"a-1", "a-2"}; !slices.Equal(r.handled["a"], want) {
			t.Errorf("handled %v, want %v", r.handled["a"], want)
		}
		if s := q.Stats(); s.GivenUp != 1 || s.Messages != 0 || s.Bytes != 0 {
			t.Errorf("stats %+v", s)
		}
		if took := time.Since(start); took < time.Minute || took > 5*time.Minute {
			t.Errorf("gave up after %s", took)
		}
		if n := r.batches["a"]; n > DefaultConfig().MaxDeliveries+2 {
			t.Errorf("%d deliveries", n)
		}
	})
}

func TestFullQueueRefusesAllOfASend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder()
		r.latency = time.Minute
		q := newQueue(t, r, func(c *Config) { c.MaxMessages, c.MaxBytes = 20, 100 })
		if err := q.Send(t.Context(), messages("big", 0, 30)); err != nil {
			t.Errorf("an empty queue refused a send that is larger than its bound: %v", err)
		}
		if err := q.Send(t.Context(), messages("a", 0, 1)); !errors.Is(err, ErrFull) {
			t.Errorf("got %v, want ErrFull", err)
		}
		if s := q.Stats(); s.Messages != 30 || s.Refused != 1 {
			t.Errorf("stats %+v", s)
		}
		time.Sleep(time.Hour)
		if err := q.Send(t.Context(), messages("a", 0, 1)); err != nil {
			t.Errorf("a drained queue refused: %v", err)
		}
		if err := q.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestCloseAbandonsWhatItCannotDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder()
		r.answer = func(msgs []Message) []string { return ids(msgs) }
		r.latency = time.Second
		q := newQueue(t, r, func(c *Config) { c.MinBackoff, c.MaxBackoff = time.Hour, time.Hour })
		for _, g := range []string{"a", "b", "c", "d", "e", "f"} {
			if err := q.Send(t.Context(), messages(g, 0, 2)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(1500 * time.Millisecond) // four groups back off, two are being handled
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := q.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if s := q.Stats(); s.Messages != 0 {
			t.Errorf("left %+v", s)
		}
		if err := q.Send(t.Context(), messages("a", 0, 1)); !errors.Is(err, ErrClosed) {
			t.Errorf("got %v, want ErrClosed", err)
		}
	})
}

// Whatever fails, however often: within a group, messages succeed in the order in which they were sent, once each.
func TestRandomFailures(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			rng, faults := rand.New(rand.NewPCG(seed, 3)), rand.New(rand.NewPCG(seed, 4))
			r := newRecorder()
			r.latency = time.Millisecond
			r.answer = func(msgs []Message) []string {
				if faults.IntN(3) == 0 {
					return ids(msgs[faults.IntN(len(msgs)):])
				}
				return nil
			}
			q := newQueue(t, r, func(c *Config) { c.MaxDeliveries = 1000 })
			want := map[string][]string{}
			for i := range 200 {
				g := string(rune('a' + rng.IntN(7)))
				n := len(want[g])
				m := messages(g, n, n+1+i%3)
				if err := q.Send(t.Context(), m); err != nil {
					t.Fatal(err)
				}
				want[g] = append(want[g], ids(m)...)
				time.Sleep(time.Duration(rng.IntN(5)) * time.Millisecond)
			}
			if err := q.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			r.check(t)
			for g := range want {
				if !slices.Equal(r.handled[g], want[g]) {
					t.Fatalf("seed %d, group %s: handled %v, want %v", seed, g, r.handled[g], want[g])
				}
			}
		})
	}
}

func TestBadConfiguration(t *testing.T) {
	if _, err := NewInProcess(nil, DefaultConfig()); err == nil {
		t.Error("no handler was taken")
	}
	cfg := DefaultConfig()
	cfg.MaxBytes = 0
	if _, err := NewInProcess(newRecorder().handle, cfg); err == nil {
		t.Error("no bound was taken")
	}
}

// A store that never answers does not hold up its table for good.
func TestHandlerHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls []time.Duration
		start := time.Now()
		hang := func(ctx context.Context, msgs []Message) []string {
			calls = append(calls, time.Since(start))
			if len(calls) == 1 {
				<-ctx.Done()
				return ids(msgs)
			}
			return nil
		}
		q, err := NewInProcess(hang, DefaultConfig())
		if err != nil {
			t.Fatal(err)
		}
		if err := q.Send(t.Context(), messages("a", 0, 1)); err != nil {
			t.Fatal(err)
		}
		if err := q.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(calls) != 2 || calls[1] < 3*time.Minute || calls[1] > 4*time.Minute {
			t.Errorf("calls at %v", calls)
		}
	})
}

package eventlog

import (
	"math/rand/v2"
	"testing"
	"time"

	"firn/ingestd/kv"
)

// fillUp appends to a table until nothing fits any more.
func fillUp(t *testing.T, l *Log, name string) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 1))
	for size := 2000; size > 0; {
		if _, err := l.put(t, name, noise(rng, size)); err != nil {
			wantErr(t, err, ErrFull)
			size /= 4
		}
	}
}

func TestRefusesWhatCannotBeARetry(t *testing.T) {
	c := testConfig()
	c.MaxTableBytes = c.MaxBytes
	m := kv.NewMem()
	l := mustOpen(t, m, c)
	mustPut(t, l, "keyed", "k|x")
	mustPut(t, l, "plain", "x")
	check := func() {
		t.Helper()
		wantErr(t, l.Refuses(table("plain").UUID, 1, false), ErrFull)
		wantErr(t, l.Refuses(table("keyed").UUID, 1, false), ErrFull)
		wantErr(t, l.Refuses(table("plain").UUID, 1, true), ErrFull) // it has no key
		for _, name := range []string{"keyed", "unknown"} {
			wantErr(t, l.Refuses(table(name).UUID, 1, true), nil)
			room, err := l.Reserve(table(name).UUID, 1, true)
			wantErr(t, err, nil)
			wantErr(t, room.Full(), ErrFull)
			l.GiveBack(room)
		}
		if n := l.bound.promised.Load(); n != 0 {
			t.Errorf("%d bytes stay promised", n)
		}
	}
	wantErr(t, l.Refuses(table("plain").UUID, 1, false), nil)
	fillUp(t, l, "plain")
	check()
	_ = l.Close()
	l = mustOpen(t, m, c)
	check()
}

// A request that is let through a full log because it may be a retry is answered if it is one, and costs no encoding.
func TestFullRoomTakesDuplicates(t *testing.T) {
	c := testConfig()
	c.MaxTableBytes = c.MaxBytes
	l := mustOpen(t, kv.NewMem(), c)
	mustPut(t, l, "t", "k|x")
	fillUp(t, l, "t")
	f := func(want error, events ...string) (got Appended) {
		t.Helper()
		room, err := l.Reserve(table("t").UUID, 100, true)
		wantErr(t, err, nil)
		defer l.GiveBack(room)
		lent := lender(-1)
		got, err = l.Append(t.Context(), Append{Table: table("t"), Batch: batch(t, events...), ReceivedAt: present, Room: room, Lender: &lent})
		wantErr(t, err, want)
		if lent > 0 {
			t.Errorf("%q became a block of %d bytes", events, lent)
		}
		return got
	}
	if a := f(nil, "k|x"); a.Accepted != 0 || a.Duplicates != 1 || a.First != 1 {
		t.Errorf("a retry got %+v", a)
	}
	f(ErrFull, "new|x")
	f(ErrFull, "k|x", "x")
	f(ErrFull, "x")
}

type lender int

func (n *lender) Encoded(blockBytes int) { *n = lender(blockBytes) }

// Promises keep others from being decoded for room that is spoken for; they end with their appends.
func TestPromises(t *testing.T) {
	c := testConfig()
	l := mustOpen(t, kv.NewMem(), c)
	mustPut(t, l, "t", "x")
	f := func(limit int64, want error) {
		t.Helper()
		var rooms []Room
		for {
			r, err := l.Reserve(table("t").UUID, 1<<30, false)
			if err != nil {
				wantErr(t, err, want)
				break
			}
			rooms = append(rooms, r)
		}
		if n := int64(len(rooms)); n != limit {
			t.Errorf("%d promises, want %d", n, limit)
		}
		wantErr(t, l.Refuses(table("t").UUID, 1<<30, false), want)
		if want == ErrFull {
			wantErr(t, l.Refused(), ErrFull)
		}
		for _, r := range rooms {
			l.GiveBack(r)
		}
		wantErr(t, l.Refuses(table("t").UUID, 1<<30, false), nil)
	}
	f(estimateParts-1, ErrTableFull) // an estimate is at most a part of the share, and a block is there

	l.mu.Lock()
	l.cfg.MaxBytes = c.MaxTableBytes
	l.mu.Unlock()
	f(estimateParts-1, ErrFull)
}

// Who is refused is told to wait as long as there was no room.
func TestRetryFollowsTheDrain(t *testing.T) {
	c := testConfig()
	c.MaxTableBytes = c.MaxBytes
	now := present
	c.Clock = func() time.Time { return now }
	l := mustOpen(t, kv.NewMem(), c)
	id := mustPut(t, l, "t", "x").Track
	f := func(least time.Duration) {
		t.Helper()
		for range 20 {
			r, ok := l.Refuses(table("t").UUID, 1, false).(*Refusal)
			if !ok || r.RetryAfter < least || r.RetryAfter > least*3/2 {
				t.Fatalf("%+v, want %v and up to half more", r, least)
			}
		}
	}
	if at := l.LastFull(); !at.IsZero() {
		t.Errorf("full at %v", at)
	}
	for range 2 {
		fillUp(t, l, "t")
		f(time.Second)
		if at := l.LastFull(); !at.Equal(now) {
			t.Errorf("full at %v, it is %v", at, now)
		}
		now = now.Add(12 * time.Second)
		f(12 * time.Second)
		now = now.Add(time.Hour)
		f(40 * time.Second)
		commitAll(t, l, id)
		if err := l.Trim(now, nil); err != nil {
			t.Fatal(err)
		}
	}
}

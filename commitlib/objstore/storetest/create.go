package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"firn/commitlib/objstore"
	"firn/perf/tier"
)

// sized is parts for a store that sends large objects in parts, and few for one to which a size is like another.
func sized(s objstore.Store, few, parts int) int {
	switch s.(type) {
	case *objstore.Mem, *objstore.Dir:
		return few
	}
	return parts
}

// twoParts is more than one part of any store that sends parts, and severalParts more than it takes at once.
func twoParts(s objstore.Store) int { return sized(s, 100_000, 5<<20+5) }
func severalParts(s objstore.Store) int {
	return sized(s, 300_000, tier.Pick(11<<20+12345, 11<<20+12345, 60<<20+1))
}

// noise is n bytes in which no part is like another.
func noise(n int, seed byte) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(b) // never fails
	return b
}

func create(t *testing.T, s objstore.Store, key string, cond objstore.Condition) objstore.Writer {
	t.Helper()
	w, err := objstore.Create(t.Context(), s, key, cond)
	if err != nil {
		t.Fatalf("create %q: %v", key, err)
	}
	t.Cleanup(w.Abort)
	return w
}

// write hands body over in pieces of a size that divides nothing.
func write(t *testing.T, w objstore.Writer, body []byte) {
	t.Helper()
	for len(body) > 0 {
		n := min(len(body), 77777)
		if m, err := w.Write(body[:n]); err != nil || m != n {
			t.Fatalf("write of %d bytes: %d, %v", n, m, err)
		}
		body = body[n:]
	}
}

func creates(t *testing.T, s objstore.Store) {
	for _, size := range []int{0, 1, 100_001, severalParts(s)} {
		key := fmt.Sprintf("default/clicks/data/created-%d.parquet", size)
		body := noise(size, 1)
		w := create(t, s, key, absent)
		write(t, w, body)
		_, err := s.Head(t.Context(), key)
		wantError(t, "head before the close", err, objstore.ErrNotExist)
		if got := listed(t, s, key); len(got) != 0 {
			t.Fatalf("listed before the close: %q", got)
		}
		made, err := w.Close()
		if err != nil {
			t.Fatalf("close of %d bytes: %v", size, err)
		}
		w.Abort() // does nothing any more
		got, read, err := s.Get(t.Context(), key)
		if err != nil || !bytes.Equal(got, body) {
			t.Fatalf("get of %d bytes: %d bytes, %v", size, len(got), err)
		}
		head, err := s.Head(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		for what, info := range map[string]objstore.Info{"close": made, "get": read, "head": head} {
			if info.Key != key || info.Size != int64(size) || info.ETag == "" || info.ETag != made.ETag {
				t.Errorf("%s of %d bytes describes %+v, close said %+v", what, size, info, made)
			}
			if info.Checksum != objstore.Checksum(body) && (what != "head" || info.Checksum != "") {
				t.Errorf("%s of %d bytes: checksum %q, want %q", what, size, info.Checksum, objstore.Checksum(body))
			}
		}
		part := make([]byte, min(size, 1000))
		if n, err := s.ReadAt(t.Context(), key, part, int64(size-len(part))); n != len(part) || !bytes.Equal(part, body[size-len(part):]) {
			t.Errorf("the last %d of %d bytes: %d, %v", len(part), size, n, err)
		}
	}
}

// bigPut: a body large enough to be sent in parts is one object all the same.
func bigPut(t *testing.T, s objstore.Store) {
	body := noise(sized(s, 300_000, 36<<20+1), 2)
	const key = "default/clicks/data/big.parquet"
	info, err := s.Put(t.Context(), key, body, absent)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size != int64(len(body)) || info.Checksum != objstore.Checksum(body) || info.ETag == "" {
		t.Errorf("put describes %+v", info)
	}
	got, read, err := s.Get(t.Context(), key)
	if err != nil || !bytes.Equal(got, body) || read.ETag != info.ETag {
		t.Fatalf("get: %d bytes, %+v, %v", len(got), read, err)
	}
	head, err := s.Head(t.Context(), key)
	if err != nil || head.Checksum != "" && head.Checksum != info.Checksum || head.Size != info.Size {
		t.Errorf("head: %+v, %v", head, err)
	}
	_, err = s.Put(t.Context(), key, body, absent)
	wantError(t, "exclusive put of what exists", err, objstore.ErrPrecondition)
	other := noise(len(body), 3)
	next, err := s.Put(t.Context(), key, other, objstore.Condition{ETag: info.ETag})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Put(t.Context(), key, body, objstore.Condition{ETag: info.ETag})
	wantError(t, "put over another version", err, objstore.ErrPrecondition)
	if got, read, err := s.Get(t.Context(), key); err != nil || !bytes.Equal(got, other) || read.ETag != next.ETag {
		t.Errorf("get: %d bytes, %+v, %v", len(got), read, err)
	}
}

func createConditions(t *testing.T, s objstore.Store) {
	for _, size := range []int{10, twoParts(s)} {
		key := fmt.Sprintf("k%d", size)
		closed := func(seed byte, cond objstore.Condition) (objstore.Info, error) {
			t.Helper()
			w, err := objstore.Create(t.Context(), s, key, cond)
			if err != nil {
				return objstore.Info{}, err // it may be refused early
			}
			write(t, w, noise(size, seed))
			return w.Close()
		}
		first, err := closed(1, absent)
		if err != nil {
			t.Fatal(err)
		}
		_, err = closed(2, absent)
		wantError(t, "exclusive creation of what exists", err, objstore.ErrPrecondition)
		second, err := closed(3, objstore.Condition{ETag: first.ETag})
		if err != nil {
			t.Fatal(err)
		}
		_, err = closed(4, objstore.Condition{ETag: first.ETag})
		wantError(t, "creation over another version", err, objstore.ErrPrecondition)
		if got, info, err := s.Get(t.Context(), key); err != nil || !bytes.Equal(got, noise(size, 3)) || info.ETag != second.ETag {
			t.Errorf("%d bytes: %d bytes are there, %v", size, len(got), err)
		}
		if _, err := closed(5, objstore.Condition{}); err != nil {
			t.Errorf("unconditional creation: %v", err)
		}
		if got, _, err := s.Get(t.Context(), key); err != nil || !bytes.Equal(got, noise(size, 5)) {
			t.Errorf("%d bytes: %d bytes are there, %v", size, len(got), err)
		}
	}
	if _, err := objstore.Create(t.Context(), s, "a/../b", absent); err == nil {
		t.Error("a bad key was accepted")
	}
	if _, err := objstore.Create(t.Context(), s, "k", objstore.Condition{Absent: true, ETag: "x"}); err == nil {
		t.Error("a condition that cannot hold was accepted")
	}
}

// givenUp: what is aborted, or whose context ends, leaves nothing that can be read, and its name free.
func givenUp(t *testing.T, s objstore.Store) {
	for _, size := range []int{0, 10, twoParts(s)} {
		key := fmt.Sprintf("given/up/%d", size)
		w := create(t, s, key, absent)
		write(t, w, noise(size, 1))
		w.Abort()
		w.Abort()
		if _, err := w.Write([]byte("x")); !errors.Is(err, objstore.ErrClosed) {
			t.Errorf("write after the end: %v", err)
		}
		if _, err := w.Close(); !errors.Is(err, objstore.ErrClosed) {
			t.Errorf("close after the end: %v", err)
		}

		ctx, cancel := context.WithCancel(t.Context())
		cancelled, err := objstore.Create(ctx, s, key, absent)
		if err != nil {
			t.Fatal(err)
		}
		write(t, cancelled, noise(size, 2))
		cancel()
		if _, err := cancelled.Close(); !errors.Is(err, context.Canceled) || errors.Is(err, objstore.ErrUnknown) {
			t.Errorf("close after its context's end: %v", err)
		}
		_, err = s.Head(t.Context(), key)
		wantError(t, "head of what was given up", err, objstore.ErrNotExist)
		w = create(t, s, key, absent)
		write(t, w, []byte("third"))
		if _, err := w.Close(); err != nil {
			t.Errorf("the name is not free: %v", err)
		}
		if _, err := w.Close(); !errors.Is(err, objstore.ErrClosed) {
			t.Errorf("second close: %v", err)
		}
		wantBody(t, s, key, "third")
	}
	if got := listed(t, s, ""); len(got) != 3 {
		t.Errorf("left: %q", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := objstore.Create(ctx, s, "k", absent); !errors.Is(err, context.Canceled) {
		t.Errorf("create: %v", err)
	}
}

// createRace: of 16 who create one key piece by piece at once, exactly one is told that it did.
func createRace(t *testing.T, s objstore.Store) {
	for round := range tier.Pick(3, 3, 20) {
		size := []int{1000, twoParts(s), 1}[round%3]
		key := fmt.Sprintf("default/clicks/data/%d.parquet", round)
		var errs [writers]error
		together(func(w int) {
			out, err := objstore.Create(t.Context(), s, key, absent)
			if err == nil {
				_, err = out.Write(noise(size, byte(w)))
			}
			if err == nil {
				_, err = out.Close()
			}
			errs[w] = err
		})
		got, _, err := s.Get(t.Context(), key)
		if err != nil {
			t.Fatalf("round %d: %v; writers: %v", round, err, errs)
		}
		wins, doubts := 0, 0
		for w, err := range errs {
			switch {
			case err == nil:
				wins++
				if !bytes.Equal(got, noise(size, byte(w))) {
					t.Fatalf("round %d: writer %d won, and another's body is there", round, w)
				}
			case errors.Is(err, objstore.ErrUnknown):
				doubts++
			case !errors.Is(err, objstore.ErrPrecondition):
				t.Fatalf("round %d: writer %d: %v", round, w, err)
			}
		}
		if wins != 1 && !(wins == 0 && doubts > 0) {
			t.Fatalf("round %d: %d winners: %v", round, wins, errs)
		}
	}
}

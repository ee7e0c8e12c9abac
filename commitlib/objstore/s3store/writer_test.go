package s3store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"firn/commitlib/objstore"
)

// createWhole creates an object in pieces.
func createWhole(t *testing.T, s *Store, body []byte) error {
	t.Helper()
	w, err := s.Create(t.Context(), "k", ifAbsent)
	if err != nil {
		return err
	}
	for part := range slices.Chunk(body, 1<<20+7) {
		if _, err := w.Write(part); err != nil {
			break // Close returns it
		}
	}
	info, err := w.Close()
	if err == nil && (info.Checksum != objstore.Checksum(body) || info.Size != int64(len(body)) || info.ETag == "") {
		t.Errorf("close of %d bytes: %+v", len(body), info)
	}
	return err
}

// TestGivenUp: an upload whose context ends is aborted all the same: its parts would cost from then on.
func TestGivenUp(t *testing.T) {
	for _, how := range []string{"close", "abort"} {
		server := newPartServer(t, nil)
		s := server.store(t, nil)
		ctx, cancel := context.WithCancel(t.Context())
		w, err := s.Create(ctx, "k", ifAbsent)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(pattern(minPartBytes + 1)); err != nil {
			t.Fatal(err)
		}
		cancel()
		if how == "close" {
			_, err := w.Close()
			wantOnly(t, "close", err, errOther)
		}
		w.Abort()
		if counts, _ := server.seen(); counts["abort"] != 1 || counts["complete"] != 0 || len(s.parts) != cap(s.parts) {
			t.Errorf("%s: requests %v, %d buffers back", how, counts, len(s.parts))
		}
	}
}

// TestManyWriters: more objects under way than there are buffers, written in turns by one goroutine, do not wait for
// each other.
func TestManyWriters(t *testing.T) {
	server := newPartServer(t, nil)
	s := server.store(t, func(c *Config) { c.Concurrency = 1 })
	var open []objstore.Writer
	for n := range 5 {
		w, err := s.Create(t.Context(), fmt.Sprint(n), ifAbsent)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, w)
	}
	piece := pattern(3 << 20)
	for range 5 {
		for _, w := range open {
			if _, err := w.Write(piece); err != nil {
				t.Fatal(err)
			}
		}
	}
	for n, w := range open {
		if n == 0 {
			w.Abort()
			continue
		}
		if info, err := w.Close(); err != nil || info.Size != 15<<20 {
			t.Errorf("%+v, %v", info, err)
		}
	}
	if counts, _ := server.seen(); counts["complete"] != 4 || counts["abort"] != 1 || len(s.parts) != 1 {
		t.Errorf("requests %v, %d buffers back", counts, len(s.parts))
	}
}

// TestSmallCreateIsOnePut: an object of one part costs one request, also when it fills the part to the last byte.
func TestSmallCreateIsOnePut(t *testing.T) {
	for _, size := range []int{0, 1, firstBufferBytes + 1, minPartBytes} {
		server := newPartServer(t, nil)
		s := server.store(t, nil)
		if err := createWhole(t, s, pattern(size)); err != nil {
			t.Fatal(err)
		}
		if len(server.counts) != 1 || server.counts["put"] != 1 || len(server.object) != size {
			t.Errorf("%d bytes: requests %v, %d arrived", size, server.counts, len(server.object))
		}
	}
}

// TestTooManyParts: an object beyond what S3 takes is refused before it is sent.
func TestTooManyParts(t *testing.T) {
	server := newPartServer(t, nil)
	s := server.store(t, nil)
	out, err := s.Create(t.Context(), "k", ifAbsent)
	if err != nil {
		t.Fatal(err)
	}
	w := out.(*writer)
	piece := pattern(minPartBytes)
	if _, err := w.Write(piece); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(piece); err != nil { // the first part is on its way
		t.Fatal(err)
	}
	w.number = maxParts
	_, err = w.Write(piece)
	if err == nil || !strings.Contains(err.Error(), "make it smaller") {
		t.Errorf("write: %v", err)
	}
	_, closing := w.Close()
	if counts, _ := server.seen(); !errors.Is(closing, err) || counts["abort"] != 1 || counts["complete"] != 0 {
		t.Errorf("close: %v; %v", closing, counts)
	}
}

package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"firn/commitlib/objstore"
	"firn/perf/tier"
)

const writers = 16

// exclusiveRace: of 16 who create a key at once exactly one is told that it did, and its body is there. A store over a
// network may leave some in doubt; the winner may be one of those if nobody was told that he won.
func exclusiveRace(t *testing.T, s objstore.Store) {
	for round := range tier.Pick(25, 170, 1000) {
		key := fmt.Sprintf("default/clicks/metadata/v%d.metadata.json", round)
		var errs [writers]error
		body := func(w int) []byte { return bytes.Repeat([]byte{byte('a' + w)}, 100+1000*w) }
		together(func(w int) {
			_, errs[w] = s.Put(t.Context(), key, body(w), absent)
		})
		got, _, err := s.Get(t.Context(), key)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		wins := 0
		for w, err := range errs {
			switch {
			case err == nil:
				wins++
				if !bytes.Equal(got, body(w)) {
					t.Fatalf("round %d: writer %d won, and another's body is there", round, w)
				}
			case !errors.Is(err, objstore.ErrPrecondition) && !errors.Is(err, objstore.ErrUnknown):
				t.Fatalf("round %d: writer %d: %v", round, w, err)
			}
		}
		doubt := len(got) > 0 && errors.Is(errs[got[0]-'a'], objstore.ErrUnknown)
		if wins != 1 && !(wins == 0 && doubt) {
			t.Fatalf("round %d: %d winners: %v", round, wins, errs)
		}
	}
}

// compareAndSwapRace: increments under If-Match are never lost.
func compareAndSwapRace(t *testing.T, s objstore.Store) {
	const key = "metadata/counter"
	put(t, s, key, "0", absent)
	each := tier.Pick(8, 20, 100)
	var mu sync.Mutex
	sure, doubtful := 0, 0
	together(func(w int) {
		for done := 0; done < each; {
			body, info, err := s.Get(t.Context(), key)
			if err != nil {
				t.Errorf("writer %d: %v", w, err)
				return
			}
			n, err := strconv.Atoi(string(body))
			if err != nil {
				t.Errorf("writer %d read %q", w, body)
				return
			}
			_, err = s.Put(t.Context(), key, []byte(strconv.Itoa(n+1)), objstore.Condition{ETag: info.ETag})
			mu.Lock()
			switch {
			case err == nil:
				sure++
				done++
			case errors.Is(err, objstore.ErrUnknown):
				doubtful++
				done++
			case !errors.Is(err, objstore.ErrPrecondition):
				t.Errorf("writer %d: %v", w, err)
				done = each
			}
			mu.Unlock()
		}
	})
	body, _, err := s.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if n, _ := strconv.Atoi(string(body)); n < sure || n > sure+doubtful {
		t.Errorf("counted to %d; %d increments were confirmed and %d left in doubt", n, sure, doubtful)
	}
}

// readersSeeWholeObjects: beside overwriting writers a reader sees one version from end to end, and its ETag with it.
func readersSeeWholeObjects(t *testing.T, s objstore.Store) {
	const key = "metadata/whole"
	body := func(n int) []byte { return bytes.Repeat([]byte{byte('a' + n%26)}, 1+(n%7)*9000) }
	put(t, s, key, string(body(0)), absent)
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				got, info, err := s.Get(t.Context(), key)
				if err != nil {
					t.Errorf("get: %v", err)
					return
				}
				if int64(len(got)) != info.Size || len(bytes.Trim(got, string(got[:1]))) != 0 {
					t.Errorf("read a mixture of %d bytes; info says %d", len(got), info.Size)
					return
				}
				if info.Checksum != "" && info.Checksum != objstore.Checksum(got) {
					t.Errorf("checksum of another version: %s", info.Checksum)
					return
				}
			}
		})
	}
	for n := range tier.Pick(100, 500, 3000) {
		if _, err := s.Put(t.Context(), key, body(n), objstore.Condition{}); err != nil {
			t.Errorf("put: %v", err)
			break
		}
	}
	close(stop)
	readers.Wait()
}

// together runs fn for every writer, as nearly at once as can be had.
func together(fn func(w int)) {
	var ready, done sync.WaitGroup
	ready.Add(1)
	for w := range writers {
		done.Go(func() {
			ready.Wait()
			fn(w)
		})
	}
	ready.Done()
	done.Wait()
}

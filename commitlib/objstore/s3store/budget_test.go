package s3store

import "testing"

// TestBudget: while a store is down its calls are sent once each, after the allowance is used up, and successes earn it
// back.
func TestBudget(t *testing.T) {
	server := script(t, internal)
	s := newTestStore(t, testConfig(server.URL))
	const calls = 200
	for range calls {
		if _, err := s.Head(t.Context(), "k"); err == nil {
			t.Fatal("a store that is down answered")
		}
	}
	if n := server.requests(); n != calls+resends {
		t.Errorf("%d calls were %d requests, want %d", calls, n, calls+resends)
	}
	server.mu.Lock()
	server.replies = []reply{ok}
	server.mu.Unlock()
	for range 25 {
		if _, err := s.Head(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
	}
	server.mu.Lock()
	server.replies = []reply{internal}
	server.mu.Unlock()
	before := server.requests()
	for range 10 {
		s.Head(t.Context(), "k")
	}
	if n := server.requests() - before; n != 10+2 {
		t.Errorf("after 25 successes 10 calls were %d requests, want 12", n)
	}
}

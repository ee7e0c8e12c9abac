package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"testing"
)

// Every event that a run sends must be unique, and every body valid JSON: a repeated event would compress to nothing
// and flatter every figure.
func TestEventsAreUniqueAndValid(t *testing.T) {
	const connections, events, rounds = 3, 100, 20
	seen := map[uint64]bool{}
	sessions := map[string]bool{}
	for c := range connections {
		r := newRequest("127.0.0.1:1", "t", events, 82, uint64(c)+1, connections, 7)
		for range rounds {
			req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(r.fill())))
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(req.Body)
			if err != nil || int64(len(b)) != req.ContentLength {
				t.Fatalf("body of %d bytes, announced %d: %v", len(b), req.ContentLength, err)
			}
			var body struct {
				Records []struct{ Payload json.RawMessage }
			}
			if err := json.Unmarshal(b, &body); err != nil {
				t.Fatal(err)
			}
			for _, rec := range body.Records {
				var p struct {
					ID      uint64
					Session string
				}
				if err := json.Unmarshal(rec.Payload, &p); err != nil {
					t.Fatal(err)
				}
				if len(rec.Payload) != 82 {
					t.Fatalf("payload of %d bytes: %s", len(rec.Payload), rec.Payload)
				}
				seen[p.ID] = true
				sessions[p.Session] = true
			}
		}
	}
	if want := connections * events * rounds; len(seen) != want || len(sessions) != want {
		t.Errorf("%d ids and %d sessions among %d events", len(seen), len(sessions), want)
	}
}

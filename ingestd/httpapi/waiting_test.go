package httpapi

import (
	"context"
	"net/http"
	"testing"
	"time"

	"firn/ingestd/eventlog"
	"firn/ingestd/ship"
)

// Who waits for a commit does not hold up a stop, and is told that the events are safe.
func TestShutdownAnswersThoseThatWaitForCommits(t *testing.T) {
	s := newStack(t, options{})
	waits := make(chan struct{}, 2)
	s.ship.wait = func(ctx context.Context, _ eventlog.Track, _ eventlog.Seq, _ ship.Level) error {
		waits <- struct{}{}
		<-ctx.Done()
		return context.Cause(ctx)
	}
	s.ship.commit = func(ctx context.Context, _ string) (int64, error) {
		waits <- struct{}{}
		<-ctx.Done()
		return 0, context.Cause(ctx)
	}
	s.ok(s.do("POST", "/tables/events", "x"))
	acked, committed := make(chan answer, 1), make(chan answer, 1)
	go func() { acked <- s.do("POST", "/tables/events?ack=committed", "x") }()
	go func() { committed <- s.do("POST", "/tables/events/commit", "") }()
	<-waits
	<-waits
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	http.DefaultClient.CloseIdleConnections()
	if err := s.server.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	s.want(<-acked, 504, "ack_timeout", -1, -1)
	if a := <-committed; a.status != 202 { // its address is good for the next start
		t.Errorf("commit: %d %s", a.status, a.body)
	}
}

package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"firn/perf/peer"
	"firn/perf/tier"
)

// smallHost is what a host with 1 GB leaves to ingestd: Debian with sshd, journald and an agent takes about 180 MB.
const smallHost = 1<<30 - 180<<20

// A host with 1 GB, everything at once: 1,000 tables, a table with 8,700 hours open, keyed events, 500 connections that
// dribble, a load beyond what the machine takes, and a store that is away until the log has reached its bound. The daemon
// sheds and is never killed for its memory; with the store back it drains, and every acked event is in its table once.
func TestSmallHost(t *testing.T) {
	tier.Need(t, tier.CI)
	tables := names("trickle", tier.Pick(0, 50, 1000))
	hours := tier.Pick(0, 200, 8700)
	dribbling := tier.Pick(0, 200, 500)
	logBytes := tier.Pick(0, 64, 512)

	s3 := peer.S3(t)
	proxy := peer.Proxy(t, s3.Endpoint)
	root := s3.Root() + "/lake"
	o := Options{
		Binary: PlainIngestd(t), // the race detector multiplies memory
		Data:   t.TempDir(), Env: s3.At(proxy).Env(), Wrapper: MemoryLimit(t, smallHost),
		Flags: []string{"-warehouse", root, "-log-bytes", fmt.Sprintf("%dMiB", logBytes), "-cut-interval", "5s"},
	}
	d := Start(t, o)
	client := d.Client()
	client.Put(t, "year", `{"time_window_back":"20000d"}`)
	client.Put(t, "flood", `{}`)
	client.Put(t, "more", `{}`)

	seed := Seed(t)
	ledger := NewLedger()
	trickle := NewProducers(ledger, 0, len(tables), tables...)
	trickle.Pause = 10 * time.Second
	year := NewProducers(ledger, 10_000, 8, "year")
	year.Span = time.Duration(hours) * time.Hour
	flood := NewProducers(ledger, 20_000, 8, "flood", "more")
	flood.Pad = 9 << 10
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var wg sync.WaitGroup
	for i, p := range []*Producers{trickle, year, flood} {
		wg.Go(func() { p.Run(ctx, t, d.URL, seed+uint64(i)) })
	}
	var dropped atomic.Int64
	for range dribbling {
		wg.Go(func() { dribble(ctx, strings.TrimPrefix(d.URL, "http://"), &dropped) })
	}

	phase := func(what string, atMost time.Duration, done func() bool) {
		t.Helper()
		for began := time.Now(); !done(); time.Sleep(100 * time.Millisecond) {
			select {
			case <-d.exited:
				t.Fatalf("%s: the daemon is gone: %v\n%s", what, d.exit(), d.Log(4000))
			default:
			}
			if time.Since(began) > atMost {
				t.Fatalf("%s: not within %v", what, atMost)
			}
		}
		t.Logf("%s: %d acked, %d refused %v, %d MB at most", what, ledger.Acked(), ledger.Refused(), ledger.Refusals(), d.PeakMemory()>>20)
	}
	lasts := func(seconds int) func() bool {
		end := time.Now().Add(time.Duration(seconds) * time.Second)
		return func() bool { return time.Now().After(end) }
	}
	phase("all tables are made", 10*time.Minute, func() bool {
		var known struct {
			Tables []struct{} `json:"tables"`
		}
		err := client.Do(ctx, "GET", "/tables", nil, nil, &known)
		return err == nil && len(known.Tables) == len(tables)+3
	})
	phase("with the store", 2*time.Minute, lasts(tier.Pick(0, 5, 30)))
	proxy.Down()
	phase("the log is full", 10*time.Minute, func() bool { return backlogFull(t, d) })
	phase("and stays so", 2*time.Minute, lasts(tier.Pick(0, 5, 60)))
	proxy.Up()
	phase("while it drains", 2*time.Minute, lasts(tier.Pick(0, 5, 60)))
	stop()
	wg.Wait()
	peak := d.PeakMemory()
	d.Stop()
	t.Logf("%d MB resident at most; %d slow connections were ended", peak>>20, dropped.Load())
	if peak > smallHost {
		t.Errorf("the daemon had %d bytes resident, want at most %d", peak, smallHost)
	}
	began := time.Now()
	Drain(t, o, 10*time.Minute)
	t.Logf("drained in %v", time.Since(began).Round(time.Second))
	all := append(tables, "year", "flood", "more")
	ledger.VerifyRows(t, "duckdb-folder", Bucket(root, s3.Env()).Dump(t, "duckdb-folder", all), all...)
}

// backlogFull says whether the log has reached its bound.
func backlogFull(t *testing.T, d *Daemon) bool {
	t.Helper()
	resp, err := http.Get(d.URL + "/health/ready")
	if err != nil {
		return false // as many connections are open as may be, or the daemon is gone: the caller looks
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return err == nil && strings.Contains(string(text), "backlog_full")
}

// dribble sends requests whose bodies come byte by byte and never end, each on a connection of its own, and counts the
// ones that the daemon put an end to.
func dribble(ctx context.Context, addr string, dropped *atomic.Int64) {
	for ctx.Err() == nil {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return // the daemon is gone: the test has noticed
		}
		_, err = fmt.Fprintf(c, "POST /tables/flood/bulk HTTP/1.1\r\nHost: firn\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n{", 1<<20)
		for err == nil && ctx.Err() == nil {
			select {
			case <-ctx.Done():
			case <-time.After(3 * time.Second):
			}
			_, err = c.Write([]byte(" "))
		}
		if err != nil {
			dropped.Add(1)
		}
		c.Close()
	}
}

func names(prefix string, n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("%s%d", prefix, i))
	}
	return all
}

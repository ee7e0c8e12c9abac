package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"firn/perf/hist"
	"firn/perf/payload"
)

// Limit is what the machine itself allows a stage of an event's way, with everything else left out.
type Limit struct {
	Stage  string
	What   string
	Events float64 // a second; 0: not a rate of events
	Micros float64 // of CPU an event
	P50    time.Duration
	Bytes  float64 // a second
}

// Limits measures what no server could beat here: sockets alone, and the disk alone. Each takes about a second.
func Limits(ctx context.Context, dir string) ([]Limit, error) {
	var all []Limit
	for _, events := range []int{1, 100, 1000} {
		l, err := socketLimit(ctx, events)
		if err != nil {
			return nil, fmt.Errorf("measure limit of sockets: %w", err)
		}
		all = append(all, l)
	}
	for _, size := range []int{300, 64 << 10, 1 << 20} {
		l, err := diskLimit(dir, size)
		if err != nil {
			return nil, fmt.Errorf("measure limit of the disk: %w", err)
		}
		all = append(all, l)
	}
	return all, nil
}

// socketLimit sends requests to a server in this process that only reads and answers. Its CPU is both sides'.
func socketLimit(ctx context.Context, events int) (Limit, error) {
	t := Traffic{Table: "t", Format: payload.Bulk, Mix: payload.Counters, Events: events, Connections: 64}
	if events == 1 {
		t.Format = payload.Single
	}
	s := t.spec("127.0.0.1:80", 0, 0, nil)
	sample, err := payload.New(s)
	if err != nil {
		return Limit{}, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return Limit{}, err
	}
	defer listener.Close()
	go swallow(listener, len(sample.Fill()))
	began, cpu := time.Now(), ownCPU()
	y := new(tally)
	a := &arrivals{start: began, deadline: began.Add(time.Second)}
	t.host = "127.0.0.1:80" // so that all requests have the length of the sample's
	if err := t.send(ctx, listener.Addr().String(), 1, a, nil, y); err != nil {
		return Limit{}, err
	}
	took, used, sent := time.Since(began), ownCPU()-cpu, float64(y.events.Load())
	return Limit{Stage: "socket", What: fmt.Sprintf("%d of 82 B a request over 64 connections; read, answered, and nothing else", events),
		Events: sent / took.Seconds(), Micros: 1e6 * ratio(used.Seconds(), sent), P50: y.latency.Quantile(0.5), Bytes: float64(y.bytes.Load()) / took.Seconds()}, nil
}

// swallow answers requests of one length, without looking at them, until the listener is closed.
func swallow(l net.Listener, length int) {
	const ack = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			for buf := make([]byte, length); ; {
				if _, err := io.ReadFull(c, buf); err != nil {
					return
				}
				if _, err := c.Write([]byte(ack)); err != nil {
					return
				}
			}
		}()
	}
}

// diskLimit appends to a file and syncs, again and again.
func diskLimit(dir string, size int) (l Limit, err error) {
	f, err := os.CreateTemp(dir, "limit-*")
	if err != nil {
		return l, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	block := make([]byte, size)
	for i := range block {
		block[i] = byte(i * 31) // some disks know zeros
	}
	var took hist.Histogram
	began := time.Now()
	for time.Since(began) < time.Second {
		at := time.Now()
		if _, err := f.Write(block); err != nil {
			return l, err
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			return l, err
		}
		took.Record(time.Since(at))
	}
	return Limit{Stage: "disk", What: fmt.Sprintf("%d bytes appended to a file and synced, one after the other", size),
		P50: took.Quantile(0.5), Bytes: float64(size) * float64(took.Count()) / time.Since(began).Seconds()}, nil
}

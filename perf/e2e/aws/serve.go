package aws

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"firn/perf/peer/runtimeapi"
)

// start runs the delivery until the test's end.
func (d *delivery) start() {
	ctx, cancel := context.WithCancel(context.Background())
	d.stop = cancel
	d.done.Go(func() { d.take(ctx) })
	for i := range d.functions {
		log := filepath.Join(d.t.TempDir(), fmt.Sprintf("function-%d.log", i))
		d.done.Go(func() { d.serve(ctx, log) })
	}
	d.t.Cleanup(d.end)
}

// end stops the delivery, and may be called again.
func (d *delivery) end() {
	d.stop()
	d.done.Wait()
}

// take moves messages from the queue to what is held.
func (d *delivery) take(ctx context.Context) {
	for ctx.Err() == nil {
		msgs, err := receive(d.sqs, d.queue)
		if err != nil {
			d.t.Errorf("receive: %v", err)
			return
		}
		d.add(msgs)
	}
}

// serve is one execution environment after the other.
func (d *delivery) serve(ctx context.Context, log string) {
	var f *runtimeapi.Function
	defer func() {
		if f != nil {
			f.Kill()
		}
		if d.t.Failed() && f != nil {
			d.t.Logf("the end of a function's log:\n%s", f.Log(2000))
		}
	}()
	for ctx.Err() == nil {
		batch, strike := d.batch()
		if len(batch) == 0 {
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond): // as often as an event source polls, and oftener
			}
			continue
		}
		if f == nil {
			var err error
			if f, err = runtimeapi.Launch(d.binary, log, d.env...); err != nil {
				d.t.Errorf("start a function: %v", err)
				return
			}
			d.mu.Lock()
			d.count.Starts++
			d.mu.Unlock()
		}
		if strike > 0 {
			time.AfterFunc(strike, f.Kill)
		}
		began := time.Now()
		answer, err := f.Invoke(ctx, event(batch), functionTime)
		if err == nil {
			d.lasted(time.Since(began))
		}
		failed := d.settle(batch, answer, err, strike > 0)
		if err != nil || strike > 0 {
			f.Kill() // if it is not dead, it is about to be
			f = nil
		}
		if failed != nil && ctx.Err() == nil {
			d.t.Errorf("invoke: %v", failed)
			return
		}
	}
}

// quiet waits until all that is held has been delivered.
func (d *delivery) quiet() {
	d.t.Helper()
	for end := time.Now().Add(quietTime); ; time.Sleep(50 * time.Millisecond) {
		d.mu.Lock()
		n := len(d.held) + d.busy
		d.mu.Unlock()
		if n == 0 {
			return
		}
		if time.Now().After(end) {
			d.t.Fatalf("%d messages are still on their way after %v", n, quietTime)
		}
	}
}

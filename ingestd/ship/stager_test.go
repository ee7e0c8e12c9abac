package ship

import (
	"fmt"
	"testing"
	"time"

	"firn/commitlib/objstore"
	"firn/ingestd/kv"
)

// A store on the network takes its time with each call: hundreds of tables with a few events each must not wait for one
// another behind the one stager that large segments need.
func TestManyTablesOnASlowStore(t *testing.T) {
	run := func(t *testing.T, tables int, cfg Config) (lag time.Duration, segments uint64) {
		bubble(t, func(w *world) {
			cfg.Seed, cfg.Logger = 1, quiet
			w.cfg = cfg
			w.reg.Defaults.MaxLag = w.reg.Defaults.CutInterval // no table waits for a slot of its own accord
			w.store.SetFault(func(c objstore.Call) objstore.Fault {
				if c.Op == objstore.OpPut {
					return objstore.Fault{Latency: 40 * time.Millisecond}
				}
				return objstore.Fault{Latency: 15 * time.Millisecond}
			})
			w.qcfg.Parallel = 64 // committers elsewhere, as many as it takes
			n := w.start(kv.NewMem())
			defer n.close()
			for range 25 {
				for i := range tables {
					n.mustAppend(fmt.Sprintf("t%d", i), some(1)...)
				}
				time.Sleep(time.Second)
				lag = max(lag, n.shipper.Stats().Lag)
			}
			segments = n.shipper.Stats().SegmentsStaged
		})
		return lag, segments
	}
	const tables = 150 // with the bounds for a local store they fall 16 s behind
	lag, segments := run(t, tables, OnNetwork())
	t.Logf("%d tables for 25 s: %d segments, up to %s behind", tables, segments, lag)
	if lag > 12*time.Second || segments < tables*2 {
		t.Errorf("%d segments, up to %s behind; want each table cut every 10 s", segments, lag)
	}
}

// What small stagers hold stays within what DefaultConfig's comment says, whatever went through them.
func TestSmallStagersAreSmall(t *testing.T) {
	bubble(t, func(w *world) {
		t := w.T
		w.cfg = OnNetwork()
		w.cfg.Seed, w.cfg.Logger = 1, quiet
		n := w.start(kv.NewMem())
		defer n.close()
		payload := string(make([]byte, 300<<10))
		for i := range 24 {
			for k := range 3 {
				n.mustAppend(fmt.Sprintf("t%d", i), ev{at: time.Now(), payload: fmt.Sprint(i, k, payload)})
			}
		}
		n.mustAppend("large", ev{at: time.Now(), payload: "1" + payload}, ev{at: time.Now(), payload: "2" + payload}, ev{at: time.Now(), payload: "3" + payload}, ev{at: time.Now(), payload: "4" + payload})
		n.mustDrain(time.Minute)
		held := int64(0)
		for range cap(n.shipper.small.free) {
			st := <-n.shipper.small.free
			if st.rows.batch != nil {
				held += int64(st.rows.batch.Capacity())
			}
			for range cap(st.free) {
				held += int64((<-st.free).Cap())
			}
		}
		if bound := int64(w.cfg.SmallStagers) * 4 << 20; held > bound || held == 0 {
			t.Errorf("small stagers hold %d bytes, want up to %d", held, bound)
		}
		w.check("large")
		w.check("t7")
	})
}

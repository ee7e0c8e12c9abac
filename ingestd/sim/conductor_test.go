package sim

import (
	"context"
	"errors"
	"time"

	"firn/ingestd/ship"
)

// act is one step of the conductor.
func (w *world) act() {
	w.sometimesLook()
	switch n := w.plan.IntN(100); {
	case n < 52:
		w.send()
	case n < 66:
		w.disturbProcess()
	case n < 72:
		w.disturbCommitter()
	case n < 76:
		if w.slow && w.plan.IntN(4) == 0 {
			w.loseMessages()
			return
		}
		w.outage = time.Now().Add(w.random(time.Second, 10*time.Minute))
		w.step("the store is out until %s", w.outage.Sub(w.began))
	case n < 82 && w.copies:
		w.copyOrRestore()
	case n < 90:
		w.foreignAct()
	case n < 92:
		w.sweep(w.tables[w.plan.IntN(len(w.tables))])
	case w.clobber:
		w.tamper()
	default:
		w.send()
	}
}

// disturbProcess kills, stops, starts and suspends daemons.
func (w *world) disturbProcess() {
	n := w.nodes[w.plan.IntN(len(w.nodes))]
	switch {
	case n.dead:
		n.crash()
		w.step("%s: broke down, restarted", n.dir.name)
		n.start()
		return
	case !n.alive():
		w.step("%s: started", n.dir.name)
		n.start()
		return
	}
	switch w.plan.IntN(6) {
	case 0, 1:
		n.crash()
		w.step("%s: crashed, restarted", n.dir.name)
		n.start()
	case 2:
		n.stop()
		w.step("%s: restarted", n.dir.name)
		n.start()
	case 3:
		n.crash()
		w.step("%s: crashed, stays down", n.dir.name)
	case 4:
		n.thaw = time.Now().Add(w.nap())
		w.step("%s: suspended until %s", n.dir.name, n.thaw.Sub(w.began))
	case 5:
		n.backUp()
	}
}

func (w *world) disturbCommitter() {
	c := w.committers[w.plan.IntN(len(w.committers))]
	if w.plan.IntN(2) == 0 {
		c.kill()
		return
	}
	c.thaw = time.Now().Add(w.nap())
	w.step("committer %d suspended until %s", c.id, c.thaw.Sub(w.began))
}

// loseMessages is an outage of the queue that outlives what was staged before it.
func (w *world) loseMessages() {
	w.dark = time.Now().Add(w.random(time.Hour, 5*24*time.Hour))
	w.step("the queue loses everything until %s", w.dark.Sub(w.began))
	if w.plan.IntN(2) == 0 {
		w.send()
		w.wait(time.Until(w.dark) + w.random(-time.Hour, time.Hour))
	}
}

// nap is how long a machine sleeps: now and then longer than old metadata is kept.
func (w *world) nap() time.Duration {
	if w.slow && w.plan.IntN(3) == 0 {
		return w.random(time.Minute, 2*metadataRetention)
	}
	return w.random(time.Second, 5*time.Minute)
}

// maxNodes bounds the daemons of a run; copies add to them.
const maxNodes = 5

func (w *world) copyOrRestore() {
	if len(w.backups) == 0 {
		n := w.nodes[w.plan.IntN(len(w.nodes))]
		n.backUp()
		return
	}
	b := w.backups[w.plan.IntN(len(w.backups))]
	if len(w.nodes) < maxNodes && w.plan.IntN(2) == 0 {
		w.startCopy(b)
	} else {
		w.restore(b)
	}
}

// sometimesLook notes the state for adversaries that bring old ones back, and checks what must hold at any time.
func (w *world) sometimesLook() {
	w.checkStops()
	if !w.clobber || w.plan.IntN(3) > 0 {
		return
	}
	t := w.tables[w.plan.IntN(len(w.tables))]
	if ct := w.peek(t); ct != nil && len(t.damage) == 0 {
		t.noteValue(ct)
	}
}

// settle ends all faults, puts right what is to be put right, and lets hours pass until all is committed or stopped.
func (w *world) settle() {
	w.step("the faults are over")
	w.over, w.outage = true, time.Time{}
	w.revive()
	end := time.Now().Add(100 * time.Hour)
	for round := 0; time.Now().Before(end); round++ {
		w.wait(w.random(15*time.Minute, time.Hour))
		w.revive()
		w.checkStops()
		for _, t := range w.tables {
			w.sweep(t)
		}
		if round >= 3 && round < 10 && w.repair {
			w.repairAll()
			for _, t := range w.tables {
				w.obey(t)
			}
			w.resumeAll()
		}
		if round == 10 && w.repair {
			w.discardAll()
		}
		if round > 10 && w.settled() && time.Now().After(w.queue.last.Add(time.Hour)) {
			return
		}
	}
	w.step("not settled")
}

// revive starts whatever is down.
func (w *world) revive() {
	for _, c := range w.committers {
		c.wake()
	}
	for _, n := range w.nodes {
		n.wake()
		switch {
		case n.dead:
			n.crash()
			w.step("%s: broke down, restarted", n.dir.name)
			n.start()
		case !n.alive():
			w.step("%s: started", n.dir.name)
			n.start()
		}
	}
}

// settled reports whether every track is committed or stopped.
func (w *world) settled() bool {
	for _, n := range w.nodes {
		if !n.opened() {
			continue
		}
		for _, ts := range n.ship.Statuses() {
			for _, tr := range ts.Tracks {
				if tr.Backlog > 0 && tr.Stop == nil {
					return false
				}
			}
		}
	}
	return true
}

// resumeAll is the operator's word on every stopped table.
func (w *world) resumeAll() {
	for _, n := range w.nodes {
		if !n.up() {
			continue
		}
		for _, ts := range n.ship.Statuses() {
			if len(ts.Stopped()) == 0 {
				continue
			}
			w.inCalm(func() {
				err := n.ship.Resume(context.Background(), ts.Table)
				w.step("%s: resume %s, stopped by %s: %v", n.dir.name, ts.Table, ts.Stopped()[0].Reason, err)
			})
		}
		n.prod()
		w.wait(w.random(time.Millisecond, 50*time.Millisecond))
	}
}

// discardAll is the operator's word on events of tables that are gone for good: on some nodes they are given up.
func (w *world) discardAll() {
	for _, n := range w.nodes {
		if !n.up() || w.plan.IntN(2) == 0 {
			continue
		}
		for _, ts := range n.ship.Statuses() {
			ct := w.peek(w.tableOf("default." + ts.Table))
			for _, tr := range ts.Tracks {
				if tr.Stop == nil || tr.Backlog == 0 || ct == nil || ct.Metadata.TableUUID == tr.TableUUID {
					continue
				}
				err := n.ship.Discard(ts.Table, tr.Log, tr.Backlog)
				w.step("%s: discard %d events of %s for an earlier %s: %v", n.dir.name, tr.Backlog, w.label("L", tr.Log), ts.Table, err)
				if errors.Is(err, ship.ErrStillOpen) {
					continue // it stopped after the last resume, and has not taken up the new table yet
				}
				if err != nil {
					w.bad("%s: discard: %v", n.dir.name, err)
					continue
				}
				for _, e := range n.dir.holds {
					e.discarded = e.discarded || e.log == tr.Log && e.uuid == tr.TableUUID && e.seq > tr.Committed
				}
			}
		}
	}
}

package maintain

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"firn/commitlib"
	"firn/commitlib/catalog/twin"
	"firn/commitlib/iceberg"
	"firn/commitlib/objstore"
	"firn/perf/tier"
)

// Whatever happens to a table between sweeps, and to the sweeps themselves, nothing goes that is needed: not by any
// snapshot, branch or tag, not by a request that may still be applied, not by a reader that began within the grace
// period; and in the end all that can go has gone.
func TestRandomLives(t *testing.T) {
	seeds := uint64(tier.Pick(12, 200, 3000))
	modes := []twin.Mode{0, twin.Glue, twin.REST}
	removed := map[string]int64{}
	for seed := range seeds {
		mode := modes[seed%3]
		if !t.Run(fmt.Sprintf("%d", seed), func(t *testing.T) { randomLife(t, mode, seed, removed) }) {
			return
		}
	}
	for _, k := range []kind{staged, ours, foreign, claim} {
		if removed[k.String()] == 0 && seeds >= 12 {
			t.Errorf("no %s was ever removed: nothing is shown about them", k)
		}
	}
}

// life is a table in the hands of chance.
type life struct {
	*world
	logs       []uuid.UUID
	committers []*commitlib.Committer
	pending    map[uuid.UUID][]*commitlib.Request // staged and not committed, in order
	high       map[uuid.UUID]commitlib.Seq        // last staged
	needed     map[string]time.Time               // when the table last needed an object
	removed    map[string]int64
	depth      int
}

func randomLife(t *testing.T, mode twin.Mode, seed uint64, removed map[string]int64) {
	l := &life{
		world: newWorldOn(t, mode, seed), pending: map[uuid.UUID][]*commitlib.Request{}, high: map[uuid.UUID]commitlib.Seq{},
		needed: map[string]time.Time{}, removed: removed,
	}
	for range 3 {
		l.logs, l.committers = append(l.logs, l.log()), append(l.committers, l.committer())
	}
	l.commit(nil)
	for range 60 {
		l.step()
		if t.Failed() {
			return
		}
	}
	l.ends()
}

func (l *life) one(n int) int { return int(l.random() % uint64(n)) }

// step does one thing, and looks at what the table needs from then on.
func (l *life) step() {
	steps := []struct {
		weight int
		do     func()
	}{
		{12, func() { l.commit(nil) }},
		{4, func() { l.request(l.logs[l.one(3)]) }},
		{4, l.crash},
		{3, l.sleeper},
		{4, l.otherEngine},
		{2, func() { l.foreignFile() }},
		{2, l.refs},
		{2, func() { l.expire(1 + l.one(4)) }},
		{1, l.rollBack},
		{1, func() { l.emptied() }},
		{2, l.claims},
		{8, l.anySweep},
		{8, func() { l.pass(l.someTime()) }},
	}
	total := 0
	for _, s := range steps {
		total += s.weight
	}
	at := l.one(total)
	for _, s := range steps {
		if at -= s.weight; at < 0 {
			s.do()
			break
		}
	}
	l.look()
}

func (l *life) someTime() time.Duration {
	return []time.Duration{time.Second, 10 * time.Minute, 50 * time.Minute, commitlib.Grace + time.Minute, 28 * time.Hour, foreignGrace + time.Hour}[l.one(6)]
}

// request stages the next segment of a log.
func (l *life) request(log uuid.UUID) {
	n := commitlib.Seq(1 + l.one(5))
	l.pending[log] = append(l.pending[log], l.stage(log, l.high[log]+1, l.high[log]+n))
	l.high[log] += n
	if l.one(3) == 0 { // a file of the same range that no request names
		l.put(fmt.Sprintf("%sdata/%s-%d-%d-0-r1.parquet", l.root, log, l.high[log]-n+1, l.high[log]))
	}
}

// commit sends what a log has pending, or one segment more. asleep, if not nil, runs before the swap.
func (l *life) commit(asleep func()) {
	log := l.logs[l.one(3)]
	if len(l.pending[log]) == 0 {
		l.request(log)
	}
	requests := slices.Clone(l.pending[log])
	for _, r := range requests {
		r.StagedAt = l.clock() // their sender looks, or stages them anew, before it sends
	}
	c := l.committers[l.one(3)]
	if asleep != nil {
		once := false
		c = commitlib.New(l.cat, l.store, commitlib.Config{Clock: l.clock, Sleep: l.sleep, Rand: l.random, Parallel: 1, MaxAttempts: 2,
			Phase: func(string, bool) {
				if !once {
					once = true
					asleep()
				}
			}})
	}
	results, _ := c.Commit(context.Background(), l.id, requests)
	for i, r := range results {
		switch r.Outcome {
		case commitlib.Rejected:
			l.Fatalf("rejected: %s", r.Reason)
		case commitlib.Applied, commitlib.Skipped:
			l.pending[log] = slices.DeleteFunc(l.pending[log], func(p *commitlib.Request) bool { return p == requests[i] })
		}
	}
}

// crash is a commit whose process dies, or loses an answer, at some write.
func (l *life) crash() {
	k, applied := 1+l.one(4), l.one(2) == 0
	n, dead := 0, false
	log := l.logs[l.one(3)]
	if len(l.pending[log]) == 0 {
		l.request(log)
	}
	l.mem.SetFault(func(c objstore.Call) objstore.Fault {
		if c.Op == objstore.OpPut {
			if n++; n == k {
				dead = true
				return objstore.Fault{Applied: applied, Err: objstore.ErrUnknown}
			}
		}
		if dead && !applied {
			return objstore.Fault{Err: errDied}
		}
		return objstore.Fault{}
	})
	for _, r := range l.pending[log] {
		r.StagedAt = l.clock()
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := commitlib.New(l.cat, l.store, commitlib.Config{Clock: l.clock, Rand: l.random, Parallel: 1, MaxAttempts: 1,
		Sleep: func(context.Context, time.Duration) error { cancel(); return context.Canceled }})
	_, _ = c.Commit(ctx, l.id, l.pending[log])
	cancel()
	l.mem.SetFault(nil)
}

var errDied = errors.New("the process is dead")

// sleeper is a commit that sleeps before its swap while the world goes on.
func (l *life) sleeper() {
	if l.depth > 0 {
		return
	}
	l.depth++
	defer func() { l.depth-- }()
	l.commit(func() {
		for range 1 + l.one(4) {
			l.step()
		}
	})
}

func (l *life) otherEngine() {
	file := l.foreignFile()
	l.pass(time.Duration(l.one(48)) * time.Hour) // it works for long before it commits
	if _, err := l.foreign().Append(context.Background(), l.id, file); err != nil {
		l.Fatal(err)
	}
}

func (l *life) refs() {
	m := l.load().Metadata
	if len(m.Snapshots) == 0 {
		return
	}
	name, kind := fmt.Sprintf("ref%d", l.one(3)), iceberg.RefTag
	if r, ok := m.Refs[name]; ok {
		kind = r.Type
	} else if l.one(2) == 0 {
		kind = iceberg.RefBranch
	}
	l.setRef(name, kind, m.Snapshots[l.one(len(m.Snapshots))].ID)
}

func (l *life) rollBack() {
	if _, err := l.foreign().Rollback(context.Background(), l.id, 1+l.one(2)); err != nil {
		l.Fatal(err)
	}
}

func (l *life) claims() {
	log := l.logs[l.one(3)]
	l.put(fmt.Sprintf("%s_firn/claims/%s/%d-%d-0a1b2c3d.json", l.root, log, l.high[log]+1, l.high[log]+3))
}

// look notes what the table needs now.
func (l *life) look() {
	w := newWalker(l.store, true, func(n need) { l.needed[n.key] = l.clock() })
	l.must(w.table(context.Background(), l.load()))
}

// anySweep sweeps, perhaps dies at some call, or loses an answer; and nothing that is needed is gone.
func (l *life) anySweep() {
	l.look()
	scope := []Scope{Due, Whole, Whole, Metadata}[l.one(4)]
	before := l.keys()
	k, how, n := 1+l.one(30), l.one(3), 0
	l.mem.SetFault(func(c objstore.Call) objstore.Fault {
		n++
		switch {
		case how == 1 && n >= k:
			return objstore.Fault{Err: errDied}
		case how == 2 && n >= k && (c.Op == objstore.OpPut || c.Op == objstore.OpDelete):
			how = 0
			return objstore.Fault{Applied: true, Err: objstore.ErrUnknown}
		}
		return objstore.Fault{}
	})
	now := l.clock()
	r, err := l.sweeper().Sweep(context.Background(), l.id, Options{Scope: scope})
	l.mem.SetFault(nil)
	if err != nil && !errors.Is(err, errDied) && !errors.Is(err, objstore.ErrUnknown) {
		l.Errorf("sweep: %v", err)
	}
	for k, n := range r.Removed {
		l.removed[k] += n.Objects
	}
	l.verify(before, now)
}

// verify compares what is there with what was, and with what must be.
func (l *life) verify(before []string, now time.Time) {
	l.whole()
	left := map[string]bool{}
	for _, key := range l.keys() {
		left[key] = true
	}
	for _, key := range before {
		if last, was := l.needed[key]; !left[key] && was && !strings.HasSuffix(key, ".metadata.json") && now.Sub(last) < commitlib.Grace {
			l.Errorf("%s was removed %v after the table needed it", key, now.Sub(last))
		}
	}
	marks, err := commitlib.ReadMarks(context.Background(), l.store, l.load())
	l.must(err)
	for _, key := range before {
		if n := readName(key[len(l.root):]); n.kind == staged && !left[key] && marks.Last(n.log) < n.last {
			l.Errorf("%s was removed, and its log stands at %d", key, marks.Last(n.log))
		}
	}
	for log, requests := range l.pending {
		for _, r := range requests {
			for _, f := range r.Files {
				if key, _ := objstore.Key(l.store, f.Path); !left[key] && marks.Last(log) < r.Last {
					l.Errorf("%s was removed, and its request can still be applied", key)
				}
			}
		}
	}
}

// ends commits what is pending, lets time pass, and finds nothing left over that could be gone.
func (l *life) ends() {
	for range 20 {
		l.commit(nil)
		l.look()
	}
	marks, err := commitlib.ReadMarks(context.Background(), l.store, l.load())
	l.must(err)
	for range 5 {
		before := l.keys()
		l.fence()
		l.look()
		now := l.clock()
		l.sweep()
		l.verify(before, now)
		l.pass(foreignGrace + time.Hour)
	}
	for _, key := range l.whole().LeftOver {
		n := readName(key[len(l.root):])
		switch {
		case n.kind == staged && marks.Last(n.log) < n.last, n.kind == metadata, n.kind == version, n.kind == watermarks:
		case l.clock().Sub(l.needed[key]) < 3*foreignGrace: // the last commits expired the snapshot that had it
		default:
			l.Errorf("%s is left over: %s", key, n.kind)
		}
	}
	if counts := slices.Collect(maps.Values(l.pending)); l.Failed() {
		l.Logf("pending: %v", counts)
	}
}

package kv

import (
	"bytes"
	"errors"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"sync"
)

// Mem is a Store in memory that can crash. It holds what is synced apart from the ordered writes that are not, so that
// Crash leaves exactly what a power cut may leave. It replays the very bytes that RocksDB would get.
type Mem struct {
	// Fault, if not nil, decides the fate of write n (from 1) before it is applied. Set it before the first use.
	Fault func(n int) Fault

	mu       sync.Mutex // protects all below
	now      [Families]table
	synced   [Families]table
	unsynced [][]byte // representations of the writes since the last sync, in order
	writes   int
	broken   error
	closed   bool
}

// Fault is what happens to a write.
type Fault int

// The faults of a write. Lost and Unsure break the store for good, as a failed write-ahead log does; Full does not.
const (
	None   Fault = iota
	Lost         // not applied, error
	Unsure       // applied but not synced, then error: a crash may keep it or not
	Full         // not applied, ErrNoSpace
)

var errFault = errors.New("injected write fault")

// NewMem returns an empty store.
func NewMem() *Mem { return &Mem{} }

// Crash returns what a restart after a power cut would find: what was synced and a random prefix of the rest. m itself
// takes no writes any more.
func (m *Mem) Crash(rng *rand.Rand) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.broken = ErrClosed
	next := NewMem()
	for f := range next.now {
		next.synced[f] = m.synced[f].clone()
	}
	for _, rep := range m.unsynced[:rng.IntN(len(m.unsynced)+1)] {
		_ = apply(&next.synced, rep) // decoded when it was written
	}
	for f := range next.now {
		next.now[f] = next.synced[f].clone()
	}
	return next
}

// Copy returns a second store with the same synced content: a directory copied while nothing ran.
func (m *Mem) Copy() *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := NewMem()
	for f := range next.now {
		next.now[f], next.synced[f] = m.synced[f].clone(), m.synced[f].clone()
	}
	return next
}

// Writes is how many writes were tried.
func (m *Mem) Writes() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.writes
}

// Write implements Store.
func (m *Mem) Write(b *Batch, sync bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return ErrClosed
	}
	if m.broken != nil {
		return m.broken
	}
	m.writes++
	fault := None
	if m.Fault != nil {
		fault = m.Fault(m.writes)
	}
	switch fault {
	case Full:
		return ErrNoSpace
	case Lost:
		m.broken = errFault
		return errFault
	}
	rep := bytes.Clone(b.Rep())
	if err := apply(&m.now, rep); err != nil {
		return err
	}
	m.unsynced = append(m.unsynced, rep)
	if fault == Unsure {
		m.broken = errFault
		return errFault
	}
	if sync {
		for _, rep := range m.unsynced {
			_ = apply(&m.synced, rep) // the same bytes were applied above
		}
		m.unsynced = nil
	}
	return nil
}

func apply(t *[Families]table, rep []byte) error {
	return each(rep, func(o op) {
		f := &t[o.family]
		switch o.tag {
		case tagPut:
			f.put(o.key, o.value)
		case tagDelete:
			f.remove(o.key, append(bytes.Clone(o.key), 0))
		}
	})
}

// Get implements Store.
func (m *Mem) Get(f Family, k, dst []byte) ([]byte, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return dst, false, ErrClosed
	}
	i, ok := m.now[f].find(k)
	if !ok {
		return dst, false, nil
	}
	return append(dst, m.now[f][i].v...), true, nil
}

// Iterate implements Store.
func (m *Mem) Iterate(f Family, lo, hi []byte, reverse bool, fn func(k, v []byte) error) error {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return ErrClosed
	}
	run := slices.Clone(m.now[f].within(lo, hi))
	m.mu.Unlock()
	if reverse {
		slices.Reverse(run)
	}
	for _, p := range run {
		if err := fn(p.k, p.v); err != nil {
			if errors.Is(err, ErrStop) {
				return nil
			}
			return err
		}
	}
	return nil
}

// DropFiles implements Store. Like the real thing it is durable at once, whatever is synced, and leaves some keys
// behind.
func (m *Mem) DropFiles(f Family, lo, hi []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return ErrClosed
	}
	for _, t := range []*table{&m.now[f], &m.synced[f]} {
		for _, p := range slices.Clone(t.within(lo, hi)) {
			h := fnv.New32a()
			_, _ = h.Write(p.k)
			if h.Sum32()%4 != 0 {
				t.remove(p.k, append(bytes.Clone(p.k), 0))
			}
		}
	}
	return nil
}

// Stats implements Store.
func (m *Mem) Stats() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	var s Stats
	for f := range m.now {
		for _, p := range m.now[f] {
			s.FileBytes[f] += int64(len(p.k) + len(p.v))
		}
	}
	return s
}

// Close implements Store.
func (m *Mem) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}

type pair struct{ k, v []byte }

// table is one family: pairs by rising key. Pairs are never changed in place, so that iterations may keep them.
type table []pair

func (t table) find(k []byte) (int, bool) {
	if n := len(t); n == 0 || bytes.Compare(t[n-1].k, k) < 0 { // appending is the common case
		return n, false
	}
	return slices.BinarySearchFunc(t, k, func(p pair, k []byte) int { return bytes.Compare(p.k, k) })
}

func (t table) within(lo, hi []byte) table {
	i, _ := t.find(lo)
	j := len(t)
	if hi != nil {
		j, _ = t.find(hi)
	}
	return t[i:max(i, j)]
}

func (t *table) put(k, v []byte) {
	p := pair{bytes.Clone(k), append([]byte{}, v...)}
	if i, ok := t.find(k); ok {
		(*t)[i] = p
	} else {
		*t = slices.Insert(*t, i, p)
	}
}

func (t *table) remove(lo, hi []byte) {
	i, _ := t.find(lo)
	if j, _ := t.find(hi); i < j {
		*t = slices.Delete(*t, i, j)
	}
}

func (t table) clone() table { return slices.Clone(t) }

package objstore

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Mem is an object store in memory: the twin for tests and simulations. It keeps the conditions, ETags and
// checksums of a real one, strongly consistent as S3 is, and misbehaves on demand through a fault hook.
// Nothing in it is random and it starts no goroutine, so that a seeded run replays; a late write takes effect
// inside the first call after it is due.
type Mem struct {
	root string

	mu      sync.Mutex           // protects all that follows
	objects map[string]memObject // bodies are never written to once stored
	late    []lateWrite          // by due time, then in the order of the calls
	puts    uint64               // successful writes, of which ETags are made
	calls   Counts               // never reset: what Call.N counts
	since   Counts
	total   int
	fault   func(Call) Fault
	now     func() time.Time
	sleep   func(context.Context, time.Duration) error
}

type memObject struct {
	body []byte
	info Info
}

type lateWrite struct {
	due   time.Time
	apply func()
}

// NewMem makes an empty store. root is the location prefix, such as "mem://warehouse".
func NewMem(root string) *Mem {
	return &Mem{
		root: strings.TrimSuffix(root, "/"), objects: map[string]memObject{},
		now: time.Now, sleep: sleep,
	}
}

// SetFault installs the hook that is asked before every call; nil removes it. It runs under the store's lock: it must
// not call the store. Its sequence of calls is the order in which the store took them.
func (m *Mem) SetFault(hook func(Call) Fault) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fault = hook
}

// SetClock replaces the clock that stamps objects and spends latency; sleep returns early with the context's error.
func (m *Mem) SetClock(now func() time.Time, sleep func(context.Context, time.Duration) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now, m.sleep = now, sleep
}

// Counts returns the calls since the last ResetCounts.
func (m *Mem) Counts() Counts {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.since
}

// ResetCounts sets the counts that Counts returns to zero. What the fault hook is told goes on counting.
func (m *Mem) ResetCounts() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.since = Counts{}
}

// Settle applies every late write now, due or not, in the order in which they fall due.
func (m *Mem) Settle() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, w := range m.late {
		w.apply()
	}
	m.late = nil
}

// Root is the prefix that NewMem was given.
func (m *Mem) Root() string { return m.root }

// Put implements Store.
func (m *Mem) Put(ctx context.Context, key string, body []byte, cond Condition) (Info, error) {
	if err := CheckPut(key, cond); err != nil {
		return Info{}, err
	}
	body = slices.Clone(body)
	var info Info
	err := m.write(ctx, OpPut, key, len(body), func() (err error) {
		info, err = m.putLocked(key, body, cond)
		return err
	})
	if err != nil {
		return Info{}, fmt.Errorf("put %q: %w", key, err)
	}
	return info, nil
}

func (m *Mem) putLocked(key string, body []byte, cond Condition) (Info, error) {
	old, exists := m.objects[key]
	if cond.Absent && exists || cond.ETag != "" && (!exists || old.info.ETag != cond.ETag) {
		return Info{}, ErrPrecondition
	}
	m.puts++
	info := Info{
		Key: key, Size: int64(len(body)), ETag: strconv.FormatUint(m.puts, 10),
		Checksum: Checksum(body), Modified: m.now(),
	}
	m.objects[key] = memObject{body, info}
	return info, nil
}

// Delete implements Store.
func (m *Mem) Delete(ctx context.Context, keys ...string) error {
	if len(keys) == 0 {
		return nil
	}
	for _, key := range keys {
		if err := CheckKey(key); err != nil {
			return err
		}
	}
	keys = slices.Clone(keys)
	err := m.write(ctx, OpDelete, keys[0], 0, func() error {
		for _, key := range keys {
			delete(m.objects, key)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("delete %q and %d more: %w", keys[0], len(keys)-1, err)
	}
	return nil
}

// write runs one writing call with its fault. apply runs under the lock.
func (m *Mem) write(ctx context.Context, op Op, key string, size int, apply func() error) error {
	fault, err := m.enter(ctx, op, key, size)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case fault.Late > 0:
		due := m.now().Add(fault.Late)
		at, _ := slices.BinarySearchFunc(m.late, due, func(w lateWrite, due time.Time) int {
			if w.due.After(due) {
				return 1
			}
			return -1 // equal ones stay in the order of the calls
		})
		m.late = slices.Insert(m.late, at, lateWrite{due, func() { _ = apply() }}) // its condition may fail by then: that is the point
		return fault.answer()
	case fault.Applied:
		if err := apply(); err != nil {
			return err
		}
		return fault.answer()
	case fault.Err != nil:
		return fault.Err
	}
	return apply()
}

// Get implements Store.
func (m *Mem) Get(ctx context.Context, key string) ([]byte, Info, error) {
	o, err := m.read(ctx, OpGet, key)
	if err != nil {
		return nil, Info{}, fmt.Errorf("get %q: %w", key, err)
	}
	m.addBytes(OpGet, len(o.body))
	return slices.Clone(o.body), o.info, nil
}

// ReadAt implements Store.
func (m *Mem) ReadAt(ctx context.Context, key string, p []byte, off int64) (int, error) {
	o, err := m.read(ctx, OpReadAt, key)
	if err != nil {
		return 0, fmt.Errorf("read %q: %w", key, err)
	}
	if off < 0 {
		return 0, fmt.Errorf("read %q: negative position %d", key, off)
	}
	if off >= int64(len(o.body)) {
		return 0, io.EOF
	}
	n := copy(p, o.body[off:])
	m.addBytes(OpReadAt, n)
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Head implements Store.
func (m *Mem) Head(ctx context.Context, key string) (Info, error) {
	o, err := m.read(ctx, OpHead, key)
	if err != nil {
		return Info{}, fmt.Errorf("head %q: %w", key, err)
	}
	return o.info, nil
}

func (m *Mem) read(ctx context.Context, op Op, key string) (memObject, error) {
	if err := checkKey(key); err != nil {
		return memObject{}, err
	}
	fault, err := m.enter(ctx, op, key, 0)
	if err != nil {
		return memObject{}, err
	}
	if fault.Err != nil {
		return memObject{}, fault.Err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok := m.objects[key]
	if !ok {
		return memObject{}, ErrNotExist
	}
	return o, nil
}

// List implements Store. It walks the keys as they were when it was called.
func (m *Mem) List(ctx context.Context, prefix string, fn func(Info) error) error {
	fault, err := m.enter(ctx, OpList, prefix, 0)
	if err == nil {
		err = fault.Err
	}
	if err != nil {
		return fmt.Errorf("list %q: %w", prefix, err)
	}
	for _, info := range m.snapshot(prefix) {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("list %q: %w", prefix, err)
		}
		if err := fn(info); err != nil {
			return err
		}
	}
	return nil
}

func (m *Mem) snapshot(prefix string) []Info {
	m.mu.Lock()
	defer m.mu.Unlock()
	keys := slices.Collect(maps.Keys(m.objects))
	keys = slices.DeleteFunc(keys, func(key string) bool { return !strings.HasPrefix(key, prefix) })
	slices.Sort(keys)
	infos := make([]Info, len(keys))
	for i, key := range keys {
		infos[i] = m.objects[key].info
	}
	return infos
}

// enter counts a call, asks the hook, spends the latency, and lets late writes that are due take effect.
func (m *Mem) enter(ctx context.Context, op Op, key string, size int) (Fault, error) {
	if err := ctx.Err(); err != nil {
		return Fault{}, err
	}
	m.mu.Lock()
	m.total++
	m.calls[op].Calls++
	m.since[op].Calls++
	m.since[op].Bytes += int64(size)
	var fault Fault
	if m.fault != nil {
		fault = m.fault(Call{Op: op, Key: key, N: m.calls[op].Calls, Total: m.total})
	}
	sleep := m.sleep
	m.mu.Unlock()

	if fault.Latency > 0 {
		if err := sleep(ctx, fault.Latency); err != nil {
			if op == OpPut || op == OpDelete {
				return Fault{}, fmt.Errorf("%w: %w", ErrUnknown, err)
			}
			return Fault{}, err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.late) > 0 && !m.late[0].due.After(m.now()) {
		w := m.late[0]
		m.late = m.late[1:]
		w.apply()
	}
	return fault, nil
}

func (m *Mem) addBytes(op Op, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.since[op].Bytes += int64(n)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

package growth

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"firn/commitlib/objstore"
)

// metered counts what goes to a store.
type metered struct {
	objstore.Store

	mu sync.Mutex // protects used
	used
}

// used is what something took.
type used struct {
	reads, writes, lists int // requests: GET and HEAD, PUT, LIST
	in, out              int // bytes of bodies

	cpu, wall time.Duration
	allocated uint64 // bytes
}

func (m *metered) note(fn func(*used)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	fn(&m.used)
}

func (m *metered) Put(ctx context.Context, key string, body []byte, cond objstore.Condition) (objstore.Info, error) {
	m.note(func(u *used) { u.writes++; u.out += len(body) })
	return m.Store.Put(ctx, key, body, cond)
}

func (m *metered) Get(ctx context.Context, key string) ([]byte, objstore.Info, error) {
	body, info, err := m.Store.Get(ctx, key)
	m.note(func(u *used) { u.reads++; u.in += len(body) })
	return body, info, err
}

func (m *metered) Head(ctx context.Context, key string) (objstore.Info, error) {
	m.note(func(u *used) { u.reads++ })
	return m.Store.Head(ctx, key)
}

func (m *metered) List(ctx context.Context, prefix string, fn func(objstore.Info) error) error {
	m.note(func(u *used) { u.lists++ })
	return m.Store.List(ctx, prefix, fn)
}

// measure runs fn and says what it took. The CPU is the whole process's, its garbage collector's included.
func (m *metered) measure(t testing.TB, fn func()) used {
	t.Helper()
	m.note(func(u *used) { *u = used{} })
	runtime.GC() // what was left by others is not this one's cost
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu, wall := processCPU(t), time.Now()
	fn()
	took, elapsed := processCPU(t)-cpu, time.Since(wall)
	runtime.ReadMemStats(&after)
	m.mu.Lock()
	defer m.mu.Unlock()
	u := m.used
	u.cpu, u.wall, u.allocated = took, elapsed, after.TotalAlloc-before.TotalAlloc
	return u
}

// requests is what was asked of the store.
func (u used) requests() string {
	var parts []string
	for _, n := range []struct {
		count int
		name  string
	}{{u.writes, "PUT"}, {u.reads, "GET"}, {u.lists, "LIST"}} {
		if n.count > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n.count, n.name))
		}
	}
	return strings.Join(parts, ", ")
}

func processCPU(t testing.TB) time.Duration {
	t.Helper()
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		t.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

package sim

import (
	"errors"
	"strings"
	"time"

	"firn/commitlib/catalog"
	"firn/commitlib/catalog/twin"
	"firn/commitlib/objstore"
)

var errUnreachable = errors.New("503 service unavailable")

// maxLate is how long a write may linger in the network: far below the retention of old metadata.
const maxLate = metadataRetention / 4

// storeFault decides about one call to the object store. Even a good one takes time, so that others run meanwhile.
func (w *world) storeFault(c objstore.Call) objstore.Fault {
	defer w.turn()()
	if w.calm {
		return objstore.Fault{}
	}
	f := objstore.Fault{Latency: w.latency()}
	if w.over {
		return f
	}
	if time.Now().Before(w.outage) {
		f.Err = errUnreachable
		return f
	}
	rate := w.faults
	if strings.HasSuffix(c.Key, "version-hint.text") {
		rate *= 3
	}
	if !w.chance(rate) {
		return f
	}
	write := c.Op == objstore.OpPut || c.Op == objstore.OpDelete
	switch n := w.fate.IntN(5); {
	case !write || n == 0:
		f.Err = errUnreachable
	case n == 1:
		f.Err = objstore.ErrUnknown // not applied
	case n == 2:
		f.Applied = true
	default:
		f.Late = w.lateness()
	}
	w.step("fault: %s %s: %v applied %v late %s", c.Op, shortKey(c.Key), f.Err, f.Applied, f.Late)
	return f
}

// serviceFault decides about one request to Glue or REST.
func (w *world) serviceFault(c twin.Call) twin.Fault {
	defer w.turn()()
	if w.calm {
		return twin.Fault{}
	}
	f := twin.Fault{Latency: w.latency()}
	if w.over {
		return f
	}
	if time.Now().Before(w.outage) {
		f.Err = errUnreachable
		if c.Op == twin.OpSwap || c.Op == twin.OpCreate {
			f.Err = catalog.ErrUnknown
		}
		return f
	}
	if !w.chance(w.faults) {
		return f
	}
	write := c.Op == twin.OpSwap || c.Op == twin.OpCreate
	switch n := w.fate.IntN(5); {
	case !write:
		f.Err = errUnreachable
	case n == 0:
		f.Err = catalog.ErrConflict // without need
		if c.Op == twin.OpCreate {
			f.Err = catalog.ErrUnknown
		}
	case n == 1:
		f.Err = catalog.ErrUnknown // not applied
	case n == 2:
		f.Applied = true
	default:
		f.Late = w.lateness()
	}
	w.step("fault: %s %s: %v applied %v late %s", c.Op, c.Ident, f.Err, f.Applied, f.Late)
	return f
}

func (w *world) latency() time.Duration {
	if !w.over && w.chance(w.faults/3) {
		return w.fateful(time.Second, 90*time.Second)
	}
	return w.fateful(time.Millisecond, 40*time.Millisecond)
}

func (w *world) lateness() time.Duration {
	if w.fate.IntN(4) == 0 {
		return w.fateful(time.Minute, maxLate)
	}
	return w.fateful(100*time.Millisecond, 30*time.Second)
}

// shortKey leaves the parts of a key that tell it from others; random parts would make traces differ.
func shortKey(key string) string {
	if i := strings.LastIndexByte(key, '/'); i >= 0 && (strings.HasSuffix(key, ".metadata.json") || strings.HasSuffix(key, ".text")) {
		return key[i+1:]
	}
	if i := strings.LastIndexByte(key, '.'); i >= 0 {
		return "*" + key[i:]
	}
	return key[:strings.LastIndexByte(key, '/')+1] + "*"
}

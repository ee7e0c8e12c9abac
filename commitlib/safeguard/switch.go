//go:build firnsim

package safeguard

import "sync/atomic"

var off [count]atomic.Bool

// Off reports whether the safeguard is switched off.
func Off(n Name) bool { return off[n].Load() }

// Switch turns a safeguard off, or on again. It exists in simulation builds alone; safe for concurrent use.
func Switch(n Name, disabled bool) { off[n].Store(disabled) }

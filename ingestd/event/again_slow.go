//go:build firnslow

package event

import "sync/atomic"

var decoded atomic.Uint64

// again says of 15 requests in 100, evenly spread, that they are to be decoded twice.
func again() bool {
	const twice, of = 15, 100
	n := decoded.Add(1)
	return n*twice/of != (n-1)*twice/of
}

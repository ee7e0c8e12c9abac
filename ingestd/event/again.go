//go:build !firnslow

package event

// again is false: a request is decoded once. A build with the tag firnslow decodes 15 of 100 requests twice, by which
// perf/gate is tested: it must see that.
func again() bool { return false }

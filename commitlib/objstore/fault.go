package objstore

import "time"

// Op is one kind of call to a store.
type Op int

// The calls, one for each method of Store that an object store would charge for.
const (
	OpPut Op = iota
	OpGet
	OpReadAt
	OpHead
	OpList
	OpDelete
	opCount
)

var opNames = [opCount]string{"put", "get", "read-at", "head", "list", "delete"}

func (op Op) String() string { return opNames[op] }

// Call tells a fault hook which call is about to happen.
type Call struct {
	Op    Op
	Key   string // of List its prefix, of Delete its first key
	N     int    // this is the n-th call of this Op, from 1
	Total int    // this is the n-th call of any Op, from 1
}

// Fault is what happens to a call. The zero value is no fault.
type Fault struct {
	// Err is answered. Alone it means that nothing was applied; to leave the caller in doubt about a write
	// that was not applied, answer ErrUnknown.
	Err error

	// Applied makes a write take effect before Err is answered: the lost response. Err nil means ErrUnknown.
	Applied bool

	// Late makes a write take effect this much later by the clock, if its condition still holds then; Err (nil means
	// ErrUnknown) is answered at once. It is the request that lingers in the network after its sender gave up.
	Late time.Duration

	// Latency is how long the call takes, by the clock. A write whose context ends meanwhile is answered with
	// ErrUnknown, and not applied.
	Latency time.Duration
}

// answer is what a write with this fault returns instead of its result.
func (f Fault) answer() error {
	if f.Err != nil {
		return f.Err
	}
	return ErrUnknown
}

// Count sums up the calls of one Op.
type Count struct {
	Calls int
	Bytes int64 // of bodies, written or read
}

// Counts sums up calls since the start or since the last reset.
type Counts [opCount]Count

// Of returns the count of one Op.
func (c Counts) Of(op Op) Count { return c[op] }

// Calls is the number of calls of all kinds.
func (c Counts) Calls() int {
	n := 0
	for _, k := range c {
		n += k.Calls
	}
	return n
}

package event

import (
	"errors"
	"fmt"
)

// Limits bound one request. The zero value is not usable; start from DefaultLimits.
type Limits struct {
	MaxBodyBytes  int // of the body after decompression
	MaxEvents     int // in one request
	MaxEventBytes int // of one payload as it is stored
	MaxKeyBytes   int // of one idempotency key
	MaxDepth      int // of nested arrays and objects in one payload
}

// Bounds that Validate holds the limits to.
const (
	maxBodyBytes = 1 << 30 // vectors address their arenas with 32 bits; half of that leaves room for arithmetic
	maxDepth     = 1000    // the validator recurses: 1,000 frames are ~100 KB of goroutine stack
	maxKeyBytes  = 4096    // keys are KV keys in the log; RocksDB's index grows with them
)

// DefaultLimits are the limits that ingestd starts with.
func DefaultLimits() Limits {
	return Limits{
		MaxBodyBytes:  16 << 20, // ~200,000 events of 80 bytes; 2 such bodies decode at once on a host with 1 GB
		MaxEvents:     250_000,
		MaxEventBytes: 1 << 20, // a data file's page; larger things belong in an object store, with their address in the event
		MaxKeyBytes:   256,     // a UUID has 36, a SHA-512 in hex 128
		MaxDepth:      64,      // real documents stay below 20; encoding/json's 10,000 serves attackers only
	}
}

// Validate reports every violation at once.
func (l Limits) Validate() error {
	var errs []error
	check := func(name string, v, lo, hi int) {
		if v < lo || v > hi {
			errs = append(errs, fmt.Errorf("check limit %s: %d is outside %d..%d", name, v, lo, hi))
		}
	}
	check("MaxBodyBytes", l.MaxBodyBytes, 1, maxBodyBytes)
	check("MaxEvents", l.MaxEvents, 1, maxBodyBytes)
	check("MaxEventBytes", l.MaxEventBytes, 1, maxBodyBytes)
	check("MaxKeyBytes", l.MaxKeyBytes, 1, maxKeyBytes)
	check("MaxDepth", l.MaxDepth, 1, maxDepth)
	return errors.Join(errs...)
}

// Defaults are what an event gets where its producer says nothing, and what its table allows.
type Defaults struct {
	Partition  int32
	TimeMicros int64 // the receipt time
	MinTime    int64 // the table's event-time window in microseconds, both ends inclusive
	MaxTime    int64
	Binary     bool // the table's payload is binary: payloads need not be UTF-8, and payload_base64 is taken
}

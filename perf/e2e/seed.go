package e2e

import (
	"os"
	"strconv"
	"testing"
	"time"
)

// Seed is the test's seed: FIRN_SEED replays a run as far as the machine's own timing lets it.
func Seed(t testing.TB) uint64 {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("FIRN_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("FIRN_SEED=%d", seed)
	return seed
}

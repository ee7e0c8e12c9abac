package load

import (
	"fmt"
	"testing"
)

// What readers find lags by the time since as many events had been acked.
func TestBehind(t *testing.T) {
	f := func(want string, all ...Sample) {
		t.Helper()
		if got := fmt.Sprintf("%.2f", behind(all)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	at := func(second float64, phase string, logged, queryable int64) Sample {
		return Sample{Second: second, Phase: phase, Logged: logged, Queryable: queryable}
	}
	f("[]")
	f("[]", at(0, phaseLoad, 0, 0), at(1, phaseLoad, 10, 0))
	f("[0.00]", at(0, phaseLoad, 0, 0), at(1, phaseLoad, 10, 10))
	f("[1.50 2.00]", at(0, phaseWarmup, 0, 0), at(1, phaseLoad, 10, 0), at(2, phaseLoad, 20, 5), at(3, phaseLoad, 30, 10), at(4, phaseDrain, 30, 30))
}

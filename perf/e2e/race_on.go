//go:build race

package e2e

// raceEnabled: this test was built with -race, and so is the daemon that it starts.
const raceEnabled = true

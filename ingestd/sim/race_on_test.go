//go:build race && !firnsim

package sim

const underRace = true

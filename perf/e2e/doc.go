// Package e2e drives the real ingestd from outside, over its HTTP interface and by signals, and reads its tables with
// engines that Firn did not write (perf/readers). It knows the daemon's flags, the HTTP interface and the tables'
// place; it imports nothing of ingestd but the layout of the phase file.
//
// Invariants: every process that it starts it also ends, by its handle; every wait is bounded; nothing listens beyond
// 127.0.0.1. Daemons and files of one test are its own, so that tests can run side by side.
//
// What starts daemons, produces, reads and judges serves perf/e2e/aws too, hence is exported. For tests alone.
package e2e

// Package load sends events to an ingestd on this machine, and reports what became of them.
//
// Invariants:
//   - Every event is one that was never sent before (payload).
//   - In an open loop requests are due at a constant rate, whatever the server does, and a latency counts from when its
//     request was due: a server that stalls for a second shows in all requests of that second, not in the one that it
//     held up. Requests that were due and could never be sent are counted too, with the time that they had waited.
//   - In a closed loop each connection sends its next request after the last answer. That finds the greatest rate; its
//     latencies leave out what a stall kept from being sent.
//   - The generator's own CPU is in every result: it is taken from the machine that is measured.
//   - Loopback addresses only, and everything ends in time.
//
// The command perf uses it, and tests do.
package load

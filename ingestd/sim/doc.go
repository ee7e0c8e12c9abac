// Package sim plays the whole pipeline against adversaries, one seed a run, in virtual time: real event logs over the
// crashable store, the real shipper and registry, real committers, the real object-store catalog or a twin of Glue's or
// REST's check. Only the queue, the faults and the adversaries are its own. It has no code but tests.
//
// A run is a conductor that draws what happens next (an event is sent, a process is killed, a directory restored, a
// property dropped), and processes that go on by themselves in between. Then faults and adversaries stop, hours pass,
// and the oracle reads the table from its newest metadata down to the rows, and compares them with what was acked:
//
//   - an acked event is in the table once, with the sequence that its ack named; or a user took it back
//     (roll-back, replace, drop) and it stays out; or it still lies in a log whose shipping of that table
//     stopped, for a reason that the adversaries gave;
//   - an event that was not acked is in the table at most once, and nothing else is;
//   - a directory restored from an older copy costs what only the lost volume held;
//   - the files of a log follow each other in the order of its sequences, and every
//     object that the table names is whole;
//   - a request that is the next of its log is never acknowledged and dropped; version-hint.text
//     never goes back by our own doing.
//
// A run replays from its seed: one goroutine runs at a time, because everything that
// waits wakes at an instant of its own.
//
//	FIRN_SEED=17 go test ./ingestd/sim -run TestSeed -v
//
// With the build tag firnsim each safeguard of the protocol is switched off in turn; the
// oracle has to notice within 500 seeds.
package sim

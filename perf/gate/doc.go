// Package gate stops a change that makes a hot stage slower than its base commit: it builds the stages (perf/gate/stages)
// from both, runs them in turn on this machine, and judges by what they took and by how much the base differs from
// itself meanwhile. `perf gate` in .ci/run calls it; perf/baselines/README.md says what it found when it was tried.
//
// # How a change is judged
//
//  1. The base is found (FindBase) and unpacked beside the working tree; the change's own copy of the stages goes over the
//     base's, so that one source measures both, unless it does not build there.
//  2. Each is linked several times with its functions in another order: where a function lies costs or saves some percent
//     that are no change's doing, and so become part of the noise.
//  3. A pair is two fresh processes of a stage that take turns, some milliseconds each, first one then the other going
//     first; its figure is the ratio of their CPU times, each process's low decile. Whatever else the machine does meets
//     both alike. A round is, for each stage, a pair of the base with itself, then a pair of base and change.
//  4. After firstRounds the base's pairs with itself tell the noise, and so the slow-down that would be seen. While that is
//     not well below Sought, rounds are added; how the change did has no part in it.
//  5. A rank-sum test of the one kind of pairs against the other says whether the change is slower by more than Margin
//     and more than chance gives. If so, confirmRounds are run from nothing: only what both say fails.
//
// # Errors of both kinds
//
// A stage fails by chance with probability suspects × convicts, one in two thousand, if the change were slower by the
// margin exactly, and less if it is not; the test takes no shape of noise for granted, only that base and change meet the
// same, which taking turns provides. A slow-down of Sought is missed when it is not suspected or not confirmed. Where
// the noise is so large that one is likely, the report says what would have been seen. TestErrorRates holds both
// against noise with bursts and drift; TestGate (tier slow) against real commits.
//
// What it does not see: less than the margin (a series of those meets the recorded base in the end), the collector's work
// (slices are shorter than its cycle; allocations are counted instead, TestAllocations), and whatever needs a
// disk or a network.
package gate

// Package maintain keeps tables healthy by what their metadata tells: a sweep removes the objects of a table's folder
// that nothing needs any more, and a checker says whether anything that is needed is missing. Expiry of snapshots and
// merging of manifests ride on commits (package commitlib) and remove no object; what they leave behind, crashes too,
// the sweep finds by listing. It keeps no journal: what it would have remembered is found again.
//
// Invariants:
//   - Nothing is removed that any snapshot of the table's current metadata reaches: every branch, every tag, every
//     retained snapshot of either's history or of none.
//   - Nothing is removed that an attempt under way, or one that sleeps, could still make part of the table. PROTOCOL.md,
//     "Lifetimes of objects", has the argument for each kind of object; Sweeper has the steps.
//   - What cannot be read, or is not as the table states, ends the sweep before it removes anything.
//   - A sweep may be killed at any moment, and any number may run at once: each removal is right by itself.
//   - Nothing is removed, or marked for it, in a folder that another table's files lie in as well, until somebody said that
//     they are not needed.
//   - Memory is 8 bytes for each live object, one manifest, some 300 for each of at most maxCandidates that may go, and 40
//     for each of at most maxSightings that wait.
//
// ingestd runs it as a background task, on request and as a command; flushlambda on a schedule. It pulls no Parquet:
// what rewrites data files is another package's, and joins here as a Task.
package maintain

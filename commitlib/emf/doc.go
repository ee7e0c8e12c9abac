// Package emf writes metrics in CloudWatch's embedded metric format: JSON lines among the log's, from which CloudWatch
// makes metrics. There is no request to wait for and none to fail, which suits a function that is frozen between two
// invocations. names.go lists every metric that Firn has, so that dashboards and alarms can be checked against it.
//
// Invariants:
//   - A line is whole and valid: a name is in it once, a number is finite, and the format's bounds hold.
//   - Each dimension's value multiplies what CloudWatch charges for a metric. So a writer has a few, fixed when it is
//     made, and what has many values (a table, a message) is a property: it can be searched for in the log, and is no
//     dimension.
//   - Counts of zero are not written: an alarm on one treats missing data as not breaching.
//
// flushlambda writes a line for each batch, ingestd one each minute, both to standard output: Lambda takes it from there,
// elsewhere CloudWatch's agent or a container's log driver does. A Writer is safe for concurrent use.
package emf

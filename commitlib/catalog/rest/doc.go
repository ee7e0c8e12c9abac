// Package rest is the catalog behind the Iceberg REST specification's interface: Polaris, Nessie, Lakekeeper, Unity,
// AWS Glue's and S3 Tables' Iceberg endpoints, and the Iceberg project's own server. The service keeps the table
// metadata and writes its files; this client sends changes of it.
//
// Invariants:
//   - A commit is sent once. A second sending could meet its own first one and call that a conflict. The one exception
//     is a commit that was answered with 401 or 419: that proves that it was not looked at.
//   - What proves nothing about a commit is ErrUnknown: 5xx, a time-out, a lost or unreadable answer. Of all answers the
//     table in answer.go alone decides.
//   - A 404 is ErrNoTable only where the service itself says it, in the specification's error model: that of a wrong
//     URI or of a proxy must not read as a dropped table.
//   - Answers are bounded in size and time, redirects are not followed, and secrets are sent to the hosts that the
//     configuration names and to no other.
//   - No goroutine and no timer runs between calls: tokens and vended credentials are renewed when they are asked for,
//     so that a frozen process thaws into a working one.
//
// What is not supported: remote signing of S3 requests, a token of its own for each table, and namespaces of several
// levels. Committers and ingestd use it, by way of package warehouse, from any number of processes at once.
package rest

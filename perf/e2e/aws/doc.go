// Package aws drives the whole pipeline as it runs on AWS: several ingestd processes, an S3 server, an SQS server, the
// built bootstrap under a Runtime API, and a catalog; and reads the tables with engines that Firn did not write.
//
// Between queue and function stands delivery, which is as unkind as SQS and Lambda may ever be: it delivers each
// message up to five times, late, out of order and with strangers, and kills functions in the midst of it. Before
// every server stands a fault proxy, which also counts what passes.
//
// Invariants: as those of perf/e2e; a test's servers are shared where that is safe, and its bucket, queues and
// processes are its own.
package aws

// Package peer starts the real parts that Firn's tests run against: S3 servers (versitygw, MinIO), SQS, Glue, Lambda
// and CloudWatch (ministack), Iceberg REST catalogs (the Iceberg project's, Nessie), and a proxy that puts faults
// between Firn and any of them.
//
// Invariants: everything listens on 127.0.0.1 at a free port and goes with the test's process, even when that is killed
// (perf/spawn). A server is shared by the tests of one binary where that is safe: each call gets a bucket or a queue of
// its own in it, and a bucket goes with its test. What a shared server leaves, a small folder among the system's
// temporary files, the next test process removes.
//
// The programs come from `make peers`, which puts them into .peers (FIRN_PEERS overrides), and ministack from the
// readers' Python. Where one is missing a test of the quick tier is skipped and any other stops.
//
// For tests alone.
package peer

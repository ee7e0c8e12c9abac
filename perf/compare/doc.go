// Package compare measures Firn beside others who do the same work, on one machine and in turn: a commit of the same
// files on the same S3 server (iceberg-go, PyIceberg), the same events encoded to Parquet (arrow-go, pyarrow), and the
// files that come of it read by DuckDB.
//
//	go run ./perf compare [-json FILE]      (make slow runs it as well)
//
// Each subject is a process of its own that stays warm and does one job at a time; the subjects take turns, so that
// whatever else the machine does meets all of them, and medians of the rounds are told. The peers come from their
// registries at fixed versions: in Go by a module of their own (peers/go.mod), in Python by perf/readers/constraints.txt;
// servers and counting proxy by perf/peer.
//
// What makes a comparison fair is decided in the peers' favour: they are handed files whose statistics they need not
// compute, tables that are loaded, and settings for these columns. No time is asserted, since a test that judges another's
// speed would fail by chance: what is asserted is that all did the same work, which is read back. docs/PERFORMANCE.md
// shows the figures, also where a peer wins.
package compare

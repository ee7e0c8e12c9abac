package httpapi

import (
	"github.com/prometheus/client_golang/prometheus"

	"firn/commitlib"
	"firn/commitlib/maintain"
	"firn/ingestd/commitq"
	"firn/ingestd/eventlog"
	"firn/ingestd/kv"
	"firn/ingestd/ship"
)

// metric is one number of a part's stats S.
type metric[S any] struct {
	name, help string
	kind       prometheus.ValueType
	value      func(*S) float64
}

const (
	counter = prometheus.CounterValue
	gauge   = prometheus.GaugeValue
)

var logMetrics = []metric[eventlog.Stats]{
	{"firn_log_appends_total", "Appends to the event log that were acked and stored events.", counter, func(s *eventlog.Stats) float64 { return float64(s.Appends) }},
	{"firn_log_events_total", "Events appended to the event log.", counter, func(s *eventlog.Stats) float64 { return float64(s.AppendedEvents) }},
	{"firn_log_raw_bytes_total", "Bytes of events appended to the event log, before compression.", counter, func(s *eventlog.Stats) float64 { return float64(s.RawBytes) }},
	{"firn_log_block_bytes_total", "Bytes of blocks appended to the event log, compressed.", counter, func(s *eventlog.Stats) float64 { return float64(s.AppendedBytes) }},
	{"firn_log_group_commits_total", "Group commits of the event log: synced writes, each shared by the appends that waited.", counter, func(s *eventlog.Stats) float64 { return float64(s.Groups) }},
	{"firn_log_group_commit_bytes_total", "Bytes that group commits brought to the write-ahead log.", counter, func(s *eventlog.Stats) float64 { return float64(s.GroupBytes) }},
	{"firn_log_trimmed_blocks_total", "Blocks of events dropped from the event log, once committed and past hot retention.", counter, func(s *eventlog.Stats) float64 { return float64(s.TrimmedBlocks) }},
	{"firn_log_relocated_bytes_total", "Bytes of the event log's blocks that were moved, to free the old files that they kept on the disk.", counter, func(s *eventlog.Stats) float64 { return float64(s.RelocatedBytes) }},
	{"firn_log_live_bytes", "Bytes of the event log's blocks that are still needed.", gauge, func(s *eventlog.Stats) float64 { return float64(s.LiveBytes) }},
	{"firn_log_pinned_bytes", "Bytes on the disk that the event log's blocks take, trimmed ones between live ones included.", gauge, func(s *eventlog.Stats) float64 { return float64(s.PinnedBytes) }},
	{"firn_log_max_bytes", "Bound on firn_log_pinned_bytes; at it appends get 503.", gauge, func(s *eventlog.Stats) float64 { return float64(s.MaxBytes) }},
	{"firn_log_dedup_bytes", "Bytes of remembered idempotency keys.", gauge, func(s *eventlog.Stats) float64 { return float64(s.DedupBytes) }},
	{"firn_log_dedup_max_bytes", "Bound on firn_log_dedup_bytes; at it keyed events get 429.", gauge, func(s *eventlog.Stats) float64 { return float64(s.DedupMaxBytes) }},
	{"firn_log_tail_bytes", "Bytes of the event log's most recent blocks kept in memory.", gauge, func(s *eventlog.Stats) float64 { return float64(s.TailBytes) }},
	{"firn_log_tail_hits_total", "Blocks of events read from memory.", counter, func(s *eventlog.Stats) float64 { return float64(s.TailHits) }},
	{"firn_log_tail_misses_total", "Blocks of events read from the log's store on the disk.", counter, func(s *eventlog.Stats) float64 { return float64(s.TailMisses) }},
	{"firn_log_tracks", "Pairs of log and table in the data directory.", gauge, func(s *eventlog.Stats) float64 { return float64(s.Tracks) }},
	{"firn_log_below_reserve", "1 while the data volume is below its free-space reserve; appends get 507.", gauge, func(s *eventlog.Stats) float64 { return truth(s.BelowReserve) }},
	{"firn_store_file_bytes", "Bytes of the log's sorted files.", gauge, func(s *eventlog.Stats) float64 { return sum(s.Store.FileBytes) }},
	{"firn_store_compacted_bytes_total", "Bytes that the log's store rewrote by itself.", counter, func(s *eventlog.Stats) float64 { return sum(s.Store.CompactedBytes) }},
	{"firn_store_memory_bytes", "Bytes of memory that the log's store holds outside the Go heap.", gauge, func(s *eventlog.Stats) float64 { return float64(s.Store.MemoryBytes) }},
	{"firn_store_wal_bytes", "Bytes of the log store's write-ahead log on the disk.", gauge, func(s *eventlog.Stats) float64 { return float64(s.Store.WALBytes) }},
	{"firn_store_background_errors_total", "Background jobs of the log's store that failed.", counter, func(s *eventlog.Stats) float64 { return float64(s.Store.BackgroundErrors) }},
	{"firn_store_writes_stopped", "1 while the log's store takes no writes until it has caught up.", gauge, func(s *eventlog.Stats) float64 { return truth(s.Store.WritesStopped) }},
}

var shipMetrics = []metric[ship.Stats]{
	{"firn_segments_cut_total", "Segments cut: event ranges durably decided on, to be committed together.", counter, func(s *ship.Stats) float64 { return float64(s.SegmentsCut) }},
	{"firn_segments_recut_total", "Segments given up uncommitted, whose events are cut anew.", counter, func(s *ship.Stats) float64 { return float64(s.SegmentsRecut) }},
	{"firn_segments_staged_total", "Segments whose data files are all in the object store.", counter, func(s *ship.Stats) float64 { return float64(s.SegmentsStaged) }},
	{"firn_data_files_total", "Data files encoded for upload.", counter, func(s *ship.Stats) float64 { return float64(s.Files) }},
	{"firn_data_file_rows_total", "Rows in the data files encoded for upload.", counter, func(s *ship.Stats) float64 { return float64(s.Rows) }},
	{"firn_data_file_bytes_total", "Bytes of the data files encoded for upload.", counter, func(s *ship.Stats) float64 { return float64(s.FileBytes) }},
	{"firn_uploads_total", "Uploads of data files tried.", counter, func(s *ship.Stats) float64 { return float64(s.Uploads) }},
	{"firn_uploads_reused_total", "Uploads of data files that found the same bytes in the object store already.", counter, func(s *ship.Stats) float64 { return float64(s.UploadsReused) }},
	{"firn_upload_bytes_total", "Bytes that uploads of data files created in the object store.", counter, func(s *ship.Stats) float64 { return float64(s.UploadBytes) }},
	{"firn_segments_renamed_total", "Segments staged under new names, since other bytes had theirs.", counter, func(s *ship.Stats) float64 { return float64(s.Renamed) }},
	{"firn_segments_verified_total", "Segments staged long ago whose data files were found whole in the object store.", counter, func(s *ship.Stats) float64 { return float64(s.Verified) }},
	{"firn_commit_requests_total", "Commit requests sent, repeated ones included.", counter, func(s *ship.Stats) float64 { return float64(s.Requests) }},
	{"firn_commit_requests_resent_total", "Commit requests sent again.", counter, func(s *ship.Stats) float64 { return float64(s.Resends) }},
	{"firn_table_looks_total", "Times that shipping asked the catalog for a table's newest state; several read-backs share one.", counter, func(s *ship.Stats) float64 { return float64(s.Looks) }},
	{"firn_read_backs_total", "Times that a committed watermark was read back.", counter, func(s *ship.Stats) float64 { return float64(s.ReadBacks) }},
	{"firn_ship_errors_total", "Turns of shipping that ended with an error and are tried again.", counter, func(s *ship.Stats) float64 { return float64(s.Errors) }},
	{"firn_ship_stops_total", "Times that shipping of a log's events for a table stopped until an operator acts.", counter, func(s *ship.Stats) float64 { return float64(s.Stops) }},
	{"firn_tracks_stopped", "Pairs of log and table whose shipping is stopped.", gauge, func(s *ship.Stats) float64 { return float64(s.StoppedTracks) }},
	{"firn_tracks_stalled", "Pairs of log and table whose watermark has stood still for a time-out.", gauge, func(s *ship.Stats) float64 { return float64(s.StalledTracks) }},
	{"firn_commit_requests_in_flight", "Commit requests sent whose events are not committed yet.", gauge, func(s *ship.Stats) float64 { return float64(s.InFlight) }},
	{"firn_backlog_events", "Events acked and not committed.", gauge, func(s *ship.Stats) float64 { return float64(s.Backlog) }},
	{"firn_lag_seconds", "Age of the oldest event that is acked and not committed.", gauge, func(s *ship.Stats) float64 { return s.Lag.Seconds() }},
}

var commitMetrics = []metric[commitlib.Counters]{
	{"firn_commits_total", "Commits: snapshots of any table that became current.", counter, func(s *commitlib.Counters) float64 { return float64(s.Commits) }},
	{"firn_commit_seconds_total", "Time that commits took, in seconds.", counter, func(s *commitlib.Counters) float64 { return s.CommitTime.Seconds() }},
	{"firn_committed_events_total", "Events in committed snapshots.", counter, func(s *commitlib.Counters) float64 { return float64(s.Events) }},
	{"firn_committed_files_total", "Data files in committed snapshots.", counter, func(s *commitlib.Counters) float64 { return float64(s.Files) }},
	{"firn_committed_bytes_total", "Bytes of data files in committed snapshots.", counter, func(s *commitlib.Counters) float64 { return float64(s.Bytes) }},
	{"firn_commit_conflicts_total", "Commit attempts whose swap of the table pointer was refused, since another commit was current.", counter, func(s *commitlib.Counters) float64 { return float64(s.Conflicts) }},
	{"firn_commit_unknowns_total", "Commit attempts whose swap of the table pointer had an outcome that was not known.", counter, func(s *commitlib.Counters) float64 { return float64(s.Unknowns) }},
	{"firn_table_loads_total", "Times that the committer loaded a table's state.", counter, func(s *commitlib.Counters) float64 { return float64(s.Loads) }},
	{"firn_watermark_spills_total", "Files written for committed watermarks that no longer fit the table's properties.", counter, func(s *commitlib.Counters) float64 { return float64(s.Spills) }},
	{"firn_snapshots_expired_total", "Snapshots that commits removed from the tables' metadata.", counter, func(s *commitlib.Counters) float64 { return float64(s.Expired) }},
	{"firn_manifests_merged_total", "Manifests that left the tables' manifest lists as commits made fewer and larger ones of several.", counter, func(s *commitlib.Counters) float64 { return float64(s.Merged) }},
	{"firn_requests_dead_lettered_total", "Commit requests that can never succeed and left the queue; the log names each.", counter, func(s *commitlib.Counters) float64 { return float64(s.DeadLettered) }},
}

var queueMetrics = []metric[commitq.Stats]{
	{"firn_queue_messages", "Commit requests that wait in this process: for its own committer, or to be sent to SQS.", gauge, func(s *commitq.Stats) float64 { return float64(s.Messages) }},
	{"firn_queue_bytes", "Bytes of the commit requests that wait in this process.", gauge, func(s *commitq.Stats) float64 { return float64(s.Bytes) }},
	{"firn_queue_redelivered_total", "Commit requests that were tried again: handed to the committer, or sent to SQS.", counter, func(s *commitq.Stats) float64 { return float64(s.Redelivered) }},
	{"firn_queue_refused_total", "Commit requests that were not taken, the queue being full or SQS out of reach; each is sent again later.", counter, func(s *commitq.Stats) float64 { return float64(s.Refused) }},
	{"firn_queue_given_up_total", "Commit requests given up: after many tries in process, or because SQS can never take such a message. Each is sent again later.", counter, func(s *commitq.Stats) float64 { return float64(s.GivenUp) }},
	{"firn_queue_calls_total", "Calls to SQS that sent commit requests.", counter, func(s *commitq.Stats) float64 { return float64(s.Calls) }},
	{"firn_queue_call_errors_total", "Calls to SQS that were not carried out in full, throttled ones included.", counter, func(s *commitq.Stats) float64 { return float64(s.CallErrors) }},
	{"firn_queue_throttled_total", "Calls to SQS that were throttled.", counter, func(s *commitq.Stats) float64 { return float64(s.Throttled) }},
	{"firn_queue_claims_total", "Commit requests too large for a message, which went by way of the object store.", counter, func(s *commitq.Stats) float64 { return float64(s.Claims) }},
}

var maintainMetrics = []metric[maintain.Counters]{
	{"firn_maintenance_runs_total", "Runs of a task of maintenance over a table.", counter, func(s *maintain.Counters) float64 { return float64(s.Runs) }},
	{"firn_maintenance_errors_total", "Runs of maintenance that ended early with an error; the log names the table and what to do.", counter, func(s *maintain.Counters) float64 { return float64(s.Errors) }},
	{"firn_maintenance_removed_objects_total", "Objects removed that no table needs any more.", counter, func(s *maintain.Counters) float64 { return float64(s.Removed) }},
	{"firn_maintenance_removed_bytes_total", "Bytes of the objects that were removed.", counter, func(s *maintain.Counters) float64 { return float64(s.RemovedBytes) }},
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func sum(n [kv.Families]int64) (total float64) {
	for _, v := range n {
		total += float64(v)
	}
	return total
}

package load

import (
	"time"

	"firn/perf/hist"
)

// Result is what one run of perf load measured, as JSON. Rates are events a second, unless their name says otherwise;
// bytes are bytes.
type Result struct {
	Version   int       `json:"firn_perf"` // of this layout: ResultVersion
	Scenario  string    `json:"scenario"`
	Began     time.Time `json:"began"`
	Machine   Machine   `json:"machine"`
	Disk      Disk      `json:"disk"` // that the event log lies on
	Server    Server    `json:"server"`
	Generator Generator `json:"generator"`
	Steps     []Step    `json:"steps"`
	Notes     []string  `json:"notes,omitempty"` // what a reader of the numbers must know
}

// ResultVersion is raised when a member changes its meaning.
const ResultVersion = 1

// Server is the ingestd that was measured.
type Server struct {
	Version    string   `json:"version"`
	Revision   string   `json:"commit"`
	Go         string   `json:"go"`
	Flags      []string `json:"flags"`      // besides its addresses and directories; null: it ran already
	Durability string   `json:"durability"` // what an ack means
}

// Generator is the program that measured.
type Generator struct {
	Revision string `json:"commit"`
	Go       string `json:"go"`
}

// Step is one load and what came of it. The times of its load leave out the warm-up.
type Step struct {
	Name     string    `json:"name"`
	Warmup   Duration  `json:"warmup"`
	Duration Duration  `json:"duration"`
	Traffic  []Outcome `json:"traffic"`

	Seconds          float64 `json:"seconds"`
	AckedEvents      int64   `json:"acked_events"`
	AckedPerSecond   float64 `json:"acked_events_per_second"`
	RequestsASecond  float64 `json:"requests_per_second"` // acked
	PayloadPerSecond float64 `json:"payload_bytes_per_second"`

	// Of the pipeline behind the ack. Committed is while the load ran; IntoTable is all that was acked, over the time
	// until all of it was committed.
	CommittedPerSecond float64 `json:"committed_events_per_second"`
	DrainSeconds       float64 `json:"drain_seconds"`
	IntoTable          float64 `json:"into_table_events_per_second"`
	Undrained          int64   `json:"undrained_events,omitempty"` // acked and not committed when the wait ended
	Commits            int64   `json:"commits"`
	CommitMs           float64 `json:"commit_mean_ms"`
	Queryable          int64   `json:"queryable_events,omitempty"`             // in the newest snapshot at the end, by the table's own metadata
	BehindP50          float64 `json:"queryable_behind_p50_seconds,omitempty"` // see behind
	BehindMax          float64 `json:"queryable_behind_max_seconds,omitempty"`

	// What the events became. Both compare with the payloads alone, so that what a log or a table adds counts against it.
	LogCompression     float64 `json:"log_compression,omitempty"`
	ParquetCompression float64 `json:"parquet_compression,omitempty"`
	LogPerEvent        float64 `json:"log_bytes_per_event,omitempty"`
	ParquetPerEvent    float64 `json:"parquet_bytes_per_event,omitempty"`
	DataFiles          int64   `json:"data_files,omitempty"`
	Syncs              float64 `json:"log_syncs_per_second,omitempty"`

	// CPU: of the load alone, and with the drain, which has the events' way into the table in full.
	ServerCores     float64 `json:"server_cores"`
	ServerMicros    float64 `json:"server_cpu_us_per_event"`
	ServerMicrosAll float64 `json:"server_cpu_us_per_event_into_table"`
	PerServerCore   float64 `json:"payload_bytes_per_server_cpu_second"` // into the table, the drain's CPU included
	GeneratorCores  float64 `json:"generator_cores"`
	GeneratorMicros float64 `json:"generator_cpu_us_per_event"`
	OtherCores      float64 `json:"other_cores"` // what else ran on the machine, the kernel's own threads included
	PeakMemory      int64   `json:"server_peak_resident_bytes"`

	Series []Sample `json:"series"`
	Fsync  *Fsync   `json:"fsync,omitempty"` // of the same disk, measured between the requests
}

// Outcome is what became of one traffic's requests.
type Outcome struct {
	Traffic
	Loop            string           `json:"loop"`
	AckedEvents     int64            `json:"acked_events"`
	AckedPerSecond  float64          `json:"acked_events_per_second"`
	PayloadBytes    int64            `json:"payload_bytes"`
	Requests        int64            `json:"requests"`
	Statuses        map[string]int64 `json:"statuses"`
	Codes           map[string]int64 `json:"refusal_codes,omitempty"`
	Refused         int64            `json:"refused_requests"`
	NoRetryAfter    int64            `json:"refused_without_retry_after"`
	LostConnections int64            `json:"lost_connections"`
	Unsent          int64            `json:"unsent_requests"` // due and never sent; their waiting is in the latencies

	P50Ms   float64       `json:"p50_ms"`
	P90Ms   float64       `json:"p90_ms"`
	P99Ms   float64       `json:"p99_ms"`
	P999Ms  float64       `json:"p999_ms"`
	MaxMs   float64       `json:"max_ms"`
	Latency hist.Snapshot `json:"latency"` // from when a request was due (closed loop: sent) to its ack
	Service hist.Snapshot `json:"service"` // from when it was sent
	Refusal hist.Snapshot `json:"refusal"` // latencies of refusals
}

// Sample is how things stood at a moment of a step. Events are counted from the step's start.
type Sample struct {
	Second      float64 `json:"t"` // since the step's start; its warm-up and its drain have samples too
	Phase       string  `json:"phase"`
	Offered     int64   `json:"offered,omitempty"` // open loop: due so far
	Acked       int64   `json:"acked"`             // as the generator counts
	Refused     int64   `json:"refused_requests,omitempty"`
	Logged      int64   `json:"logged"` // as the server counts
	Staged      int64   `json:"staged"`
	Committed   int64   `json:"committed"`
	Queryable   int64   `json:"queryable,omitempty"` // by the table's own metadata
	Backlog     int64   `json:"backlog"`
	LogBytes    int64   `json:"log_bytes"`
	Resident    int64   `json:"resident_bytes"`
	Heap        int64   `json:"heap_bytes"`
	StoreMemory int64   `json:"store_memory_bytes"`
	ServerCPU   float64 `json:"server_cpu_seconds"`
	Commits     int64   `json:"commits"`
	CommitSum   float64 `json:"commit_seconds"` // of all commits so far
	P50Ms       float64 `json:"p50_ms"`         // of the acks since the sample before
	P99Ms       float64 `json:"p99_ms"`
}

// Quiet is how many cores other processes may take, on average, before a step's figures are those of a busy machine.
const Quiet = 0.15

// The phases of a step.
const (
	phaseWarmup = "warmup"
	phaseLoad   = "load"
	phaseDrain  = "drain"
)

func ms(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }

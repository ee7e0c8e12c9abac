package emf

// Namespace is the CloudWatch namespace of all that follows.
const Namespace = "Firn"

// DimensionFunction is the one dimension of the committer's metrics: the Lambda function's name, or "flushlambda" for one
// that polls. Two deployments in one account differ by it.
const DimensionFunction = "Function"

// The committer's metrics: flushlambda writes them after each batch. Counts are sums over the batch; times have one value
// for each commit, so that CloudWatch can give their maximum and percentiles.
var (
	Commits            = Metric{"Commits", Count, "snapshots that became current"}
	CommitMilliseconds = Metric{"CommitMilliseconds", Milliseconds, "from a batch's first look at a table to its snapshot, conflicts and retries included"}
	CommitLag          = Metric{"CommitLag", Seconds, "from the staging of the oldest request of a commit to its snapshot: what the queue and the committer add to an event's lag"}
	CommitAttempts     = Metric{"CommitAttempts", Count, "attempts that a commit took: 1 without rivals"}
	Events             = Metric{"Events", Count, "events committed"}
	Files              = Metric{"Files", Count, "data files committed"}
	DataBytes          = Metric{"DataBytes", Bytes, "size of those data files"}
	Conflicts          = Metric{"Conflicts", Count, "swaps refused because another commit was first; they are tried again"}
	Unknowns           = Metric{"Unknowns", Count, "swaps whose outcome was not known; the table was looked at afterwards"}
	Loads              = Metric{"Loads", Count, "times that a table was loaded or refreshed: none for a commit on a cached parent that held"}
	Applied            = Metric{"Applied", Count, "requests applied"}
	Skipped            = Metric{"Skipped", Count, "requests that the watermark covered already: duplicates"}
	Dropped            = Metric{"Dropped", Count, "requests with a gap or an overlap, or staged too long ago; their sender re-sends"}
	Rejected           = Metric{"Rejected", Count, "requests that can never succeed: a table waits for its operator"}
	Undecided          = Metric{"Undecided", Count, "requests without a decision, to be delivered again"}
	DeadLettered       = Metric{"DeadLettered", Count, "messages given to the dead-letter queue, or dropped where there is none"}
	Messages           = Metric{"Messages", Count, "messages received"}
	MessagesAgain      = Metric{"MessagesAgain", Count, "messages returned for another delivery"}
	SchemaCacheHits    = Metric{"SchemaCacheHits", Count, "Avro schemas taken from memory"}
	SchemaCacheMisses  = Metric{"SchemaCacheMisses", Count, "Avro schemas parsed"}
	ColdStarts         = Metric{"ColdStarts", Count, "processes started"}

	RemovedObjects    = Metric{"RemovedObjects", Count, "objects removed by maintenance: no table needs them any more"}
	RemovedBytes      = Metric{"RemovedBytes", Bytes, "size of those objects"}
	MaintenanceErrors = Metric{"MaintenanceErrors", Count, "tables whose maintenance ended early: the log says why"}
)

// Committer lists the metrics that flushlambda writes.
var Committer = []Metric{
	Commits, CommitMilliseconds, CommitLag, CommitAttempts, Events, Files, DataBytes, Conflicts, Unknowns, Loads,
	Applied, Skipped, Dropped, Rejected, Undecided, DeadLettered, Messages, MessagesAgain,
	SchemaCacheHits, SchemaCacheMisses, ColdStarts, RemovedObjects, RemovedBytes, MaintenanceErrors,
}

// DimensionWarehouse is the one dimension of ingestd's metrics: where its tables lie. A host's name is a property: each
// new host would be a new set of metrics, and an alarm on one host's says nothing about the pipeline.
const DimensionWarehouse = "Warehouse"

// ingestd's metrics: written once a minute. Counts are sums over it; the others are as they stand then, zero included.
var (
	IngestedEvents = Metric{"IngestedEvents", Count, "events acked: durable in a log"}
	IngestedBytes  = Metric{"IngestedBytes", Bytes, "size of those events, before compression"}
	RefusedAppends = Metric{"RefusedAppends", Count, "requests that a log refused: backlog, disk or key budget full"}
	RequestsSent   = Metric{"RequestsSent", Count, "commit requests sent"}
	RequestsResent = Metric{"RequestsResent", Count, "those of them sent again, since nothing was committed for a while"}
	ShippingErrors = Metric{"ShippingErrors", Count, "tries to ship a table that did not work and come again"}
	Stops          = Metric{"Stops", Count, "times that shipping of a table stopped until its operator acts"}
	Backlog        = Metric{"Backlog", Count, "events acked and not committed"}
	Lag            = Metric{"Lag", Seconds, "age of the oldest of them"}
	StoppedTables  = Metric{"StoppedTables", Count, "tables whose shipping is stopped"}
	Unready        = Metric{"Unready", Count, "1 where nothing can be taken or shipped: /health/ready says why"}
	LogBytes       = Metric{"LogBytes", Bytes, "size of the log's blocks on the disk"}
	LogBytesLeft   = Metric{"LogBytesLeft", Bytes, "what it may still grow by until appends get 503"}
	QueuedRequests = Metric{"QueuedRequests", Count, "commit requests that wait in the daemon to be sent or handled"}
)

// Ingest lists the metrics that ingestd writes; one that commits by itself writes the Committer's of the same meaning too.
var Ingest = []Metric{
	IngestedEvents, IngestedBytes, RefusedAppends, RequestsSent, RequestsResent, ShippingErrors, Stops,
	Backlog, Lag, StoppedTables, Unready, LogBytes, LogBytesLeft, QueuedRequests,
}

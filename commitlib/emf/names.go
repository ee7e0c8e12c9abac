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
)

// Committer lists the metrics that flushlambda writes.
var Committer = []Metric{
	Commits, CommitMilliseconds, CommitLag, CommitAttempts, Events, Files, DataBytes, Conflicts, Unknowns, Loads,
	Applied, Skipped, Dropped, Rejected, Undecided, DeadLettered, Messages, MessagesAgain,
	SchemaCacheHits, SchemaCacheMisses, ColdStarts,
}

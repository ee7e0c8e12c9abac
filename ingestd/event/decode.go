package event

// Headers are what a producer says about its events beside the body; empty where it says nothing.
type Headers struct {
	Partition   string // X-Partition
	TimestampMs string // X-Timestamp-Ms
	Key         string // Idempotency-Key
}

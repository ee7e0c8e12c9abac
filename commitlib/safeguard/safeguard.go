// Package safeguard names the checks that keep "acked is committed exactly once" true, so that the simulation can
// switch each one off and show that it then fails. In an ordinary build Off is a constant false and costs nothing; only
// a build with the tag firnsim can switch anything.
//
// A site reads: if !safeguard.Off(safeguard.FirstFollowsWatermark) && … { refuse }.
package safeguard

// Name is one safeguard.
type Name int

// The safeguards; PROTOCOL.md says what each is for.
const (
	RetryRecheck          Name = iota // the watermark is checked again inside the retry loop
	FirstFollowsWatermark             // first == watermark + 1
	TableUUID                         // the request's table UUID is the table's
	LogPerRun                         // each run of ingestd mints a log of its own
	WatermarkWithSnapshot             // watermarks change only with a snapshot (REST protects refs, not properties)
	SpilledLookup                     // an unknown log is looked up in the spilled watermarks
	FreshGap                          // gap, overlap and rejected are decided on state loaded after the message arrived
	ReadBackKept                      // the highest watermark read back is durable before trimming
	ExclusiveCreate                   // table metadata is created exclusively
	HintRaiseOnly                     // version-hint.text is only ever raised
	KeepOnUnknown                     // nothing is deleted after an unknown outcome
	count
)

var names = [count]string{
	"retry-recheck", "first-follows-watermark", "table-uuid", "log-per-run", "watermark-with-snapshot",
	"spilled-lookup", "fresh-gap", "read-back-kept", "exclusive-create", "hint-raise-only", "keep-on-unknown",
}

func (n Name) String() string { return names[n] }

// All lists every safeguard.
func All() []Name {
	all := make([]Name, count)
	for i := range all {
		all[i] = Name(i)
	}
	return all
}

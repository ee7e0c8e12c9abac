package flame

import (
	"fmt"
	"slices"
	"strings"
)

// stage is a part of an event's way, told by functions: a sample belongs to the stage of the innermost function on its
// stack that tells one. So what a stage calls from the standard library or the kernel counts as its own.
type stage struct {
	name      string
	functions []string // beginnings of their names
}

// stages are in the order of an event's way.
var stages = []stage{
	{"socket: read the request, send the ack", []string{"firn/ingestd/httpapi.(*direct)", "firn/ingestd/httpapi.(*Server)", "firn/ingestd/httpapi.(*handover)", "net/http.", "net."}},
	{"admission, routing, metrics, reply", []string{"firn/ingestd/httpapi.", "firn/ingestd/registry."}},
	{"decode: JSON to columns", []string{"firn/ingestd/event."}},
	{"block: columns to bytes, S2", []string{"firn/ingestd/eventlog.encodeBlock", "firn/ingestd/eventlog.(*encoder)"}},
	{"group commit: RocksDB's write and sync", []string{"firn/ingestd/kv/rocks.(*Store).Write", "firn/ingestd/kv/rocks.(*batch)", "firn/ingestd/kv.(*Batch)"}},
	{"group commit: order, sequences, index", []string{"firn/ingestd/eventlog.(*writer)", "firn/ingestd/eventlog.(*Log).Append"}},
	{"log: reading back, cuts, trimming", []string{"firn/ingestd/eventlog.", "firn/ingestd/kv"}},
	{"rows: blocks to a segment's columns", []string{"firn/ingestd/ship.(*rows)", "firn/commitlib/column."}},
	{"encode: Parquet and zstd", []string{"firn/commitlib/datafile"}},
	{"upload", []string{"firn/commitlib/objstore"}},
	{"shipping: the rest", []string{"firn/ingestd/ship.", "firn/ingestd/commitq."}},
	{"commit", []string{"firn/commitlib", "firn/ingestd."}},
	{"collector", []string{"runtime.gcBgMarkWorker", "runtime.bgsweep", "runtime.bgscavenge", "runtime.gcStart", "runtime.gcMarkTermination"}},
	{"RocksDB's own threads", []string{"["}},
}

// unstaged is what no function tells a stage of: Go's scheduler, its poller and timers.
const unstaged = "Go's scheduler and poller"

// Stages tells which part of a profile's values belongs to which stage of an event's way, in the order of that way. What
// it adds up to is 1.
func Stages(p *Profile, value string) ([]Share, error) {
	at := slices.IndexFunc(p.SampleType, func(t *profileValue) bool { return t.Type == value })
	if at < 0 {
		return nil, fmt.Errorf("add up profile: it has no values of type %s", value)
	}
	sums, total := make([]int64, len(stages)+1), int64(0)
	for _, s := range p.Sample {
		sums[stageOf(stack(s))] += s.Value[at]
		total += s.Value[at]
	}
	var all []Share
	for i, v := range sums {
		if v == 0 {
			continue
		}
		name := unstaged
		if i < len(stages) {
			name = stages[i].name
		}
		all = append(all, Share{name, float64(v) / float64(total)})
	}
	return all, nil
}

// stageOf is the index of a stack's stage; len(stages) where it tells none.
func stageOf(names []string) int {
	for _, name := range slices.Backward(names) {
		for i := range stages {
			for _, f := range stages[i].functions {
				if strings.HasPrefix(name, f) {
					return i
				}
			}
		}
	}
	return len(stages)
}

package commitlib

// results turns what was decided last into the answer. Without a plan, or where it hangs on a swap that did not
// succeed, a request is Undecided.
func (r *run) results(err error) []Result {
	results := make([]Result, len(r.reqs))
	for i := range results {
		if r.plan != nil && !r.plan.verdicts[i].pending {
			results[i] = r.plan.verdicts[i].Result
		} else if err != nil {
			results[i].Reason = err.Error()
		}
	}
	return results
}

func (c *Committer) count(r *run, results []Result) {
	n := &c.counters
	for i, res := range results {
		switch res.Outcome {
		case Applied:
			n.applied.Add(1)
			n.events.Add(uint64(r.reqs[i].Last - r.reqs[i].First + 1))
			n.files.Add(uint64(len(r.reqs[i].Files)))
			for _, f := range r.reqs[i].Files {
				n.bytes.Add(uint64(f.FileSizeInBytes))
			}
		case Skipped:
			n.skipped.Add(1)
		case Rejected:
			n.rejected.Add(1)
		case Undecided:
			n.undecided.Add(1)
		case Dropped:
			switch r.plan.verdicts[i].cause {
			case gap:
				n.gaps.Add(1)
			case overlap:
				n.overlaps.Add(1)
			case tooOld:
				n.tooOld.Add(1)
			}
		}
	}
}

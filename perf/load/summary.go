package load

import (
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"time"
)

// result is what a step came to: from the end of its warm-up to the end of its load, and to the end of its drain.
func (s *step) result(from, to, end mark) *Step {
	r := &Step{Name: s.plan.Name, Warmup: Duration(s.plan.Warmup), Duration: Duration(s.plan.Duration), Series: s.series}
	r.Seconds = to.at.Sub(from.at).Seconds()
	var requests, payload, sent, sentBytes int64
	for i, t := range s.plan.Traffic {
		o := s.outcome(i, from, to)
		r.Traffic = append(r.Traffic, o)
		if t.Reads {
			continue
		}
		r.AckedEvents += o.AckedEvents
		requests += o.Requests
		payload += o.PayloadBytes
		sent += to.events[i] // the warm-up's too: the table has them all
		sentBytes += to.bytes[i]
	}
	r.AckedPerSecond = float64(r.AckedEvents) / r.Seconds
	r.RequestsASecond = float64(requests) / r.Seconds
	r.PayloadPerSecond = float64(payload) / r.Seconds

	between := func(a, b mark, name string) float64 { return b.server[name] - a.server[name] }
	whole := func(name string) float64 { return end.server[name] - s.zero[name] }
	r.CommittedPerSecond = between(from, to, mCommitted) / r.Seconds
	r.DrainSeconds = end.at.Sub(to.at).Seconds()
	total := end.at.Sub(s.began).Seconds()
	r.IntoTable = whole(mCommitted) / total
	r.Commits = int64(whole(mCommits))
	r.CommitMs = 1000 * ratio(whole(mCommitTime), whole(mCommits))
	r.Syncs = between(from, to, mGroups) / r.Seconds
	r.LogCompression = ratio(float64(sentBytes), whole(mBlocks))
	r.LogPerEvent = ratio(whole(mBlocks), float64(sent))
	if committed := whole(mCommitted); committed == float64(sent) { // else the files hold other events than were counted
		r.ParquetCompression = ratio(float64(sentBytes), whole(mFileBytes))
		r.ParquetPerEvent = ratio(whole(mFileBytes), float64(sent))
	}
	r.DataFiles = int64(whole(mFiles))

	cpu := between(from, to, mCPU)
	r.ServerCores = cpu / r.Seconds
	r.ServerMicros = 1e6 * ratio(cpu, float64(r.AckedEvents))
	all := whole(mCPU)
	r.ServerMicrosAll = 1e6 * ratio(all, float64(sent))
	r.PerServerCore = ratio(float64(sentBytes), all)
	own := to.own - from.own
	r.GeneratorCores = own.Seconds() / r.Seconds
	r.GeneratorMicros = 1e6 * ratio(own.Seconds(), float64(r.AckedEvents))
	if all := behind(s.series); len(all) > 0 {
		r.BehindP50, r.BehindMax = all[len(all)/2], all[len(all)-1]
	}
	r.OtherCores = max(0, (to.all-from.all).Seconds()/r.Seconds-r.ServerCores-r.GeneratorCores)
	r.PeakMemory = peakMemory(s.target.PID)
	if r.PeakMemory == 0 {
		for _, x := range s.series {
			r.PeakMemory = max(r.PeakMemory, x.Resident)
		}
	}
	return r
}

func (s *step) outcome(i int, from, to mark) Outcome {
	y := s.tallies[i]
	o := Outcome{
		Traffic: s.plan.Traffic[i], Loop: s.plan.Traffic[i].Loop(), AckedEvents: to.events[i] - from.events[i],
		PayloadBytes: to.bytes[i] - from.bytes[i], Requests: to.reqs[i] - from.reqs[i], Statuses: map[string]int64{},
		Refused: y.refused.Load(), NoRetryAfter: y.noRetry.Load(), LostConnections: y.lost.Load(), Unsent: y.unsent.Load(),
		Latency: to.lat[i].Since(from.lat[i]), Service: to.svc[i].Since(from.svc[i]), Refusal: y.refusal.Snapshot(),
	}
	y.codes.Range(func(code, n any) bool {
		if o.Codes == nil {
			o.Codes = map[string]int64{}
		}
		o.Codes[code.(string)] = n.(*atomic.Int64).Load()
		return true
	})
	o.AckedPerSecond = float64(o.AckedEvents) / to.at.Sub(from.at).Seconds()
	for status := range y.statuses {
		if n := y.statuses[status].Load(); n > 0 {
			o.Statuses[strconv.Itoa(status)+" "+http.StatusText(status)] = n
		}
	}
	at := func(q float64) float64 { return ms(o.Latency.Quantile(q)) }
	o.P50Ms, o.P90Ms, o.P99Ms, o.P999Ms, o.MaxMs = at(0.5), at(0.9), at(0.99), at(0.999), ms(time.Duration(o.Latency.Max))
	return o
}

// behind is how far what readers found was behind what had been acked, in seconds, at each sample of the load once the
// table had events, sorted: the age of the newest ack that a reader could have seen. Between samples acks are taken to
// have come evenly.
func behind(all []Sample) (seconds []float64) {
	for i, x := range all {
		if x.Queryable == 0 || x.Phase != phaseLoad {
			continue
		}
		j := i
		for j > 0 && all[j-1].Logged >= x.Queryable {
			j--
		}
		at := all[j].Second
		if j > 0 {
			was := all[j-1]
			at = was.Second + (at-was.Second)*ratio(float64(x.Queryable-was.Logged), float64(all[j].Logged-was.Logged))
		}
		seconds = append(seconds, max(0, x.Second-at))
	}
	slices.Sort(seconds)
	return seconds
}

// ratio is a/b, and 0 where b is.
func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

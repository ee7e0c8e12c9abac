package gate

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// report tells what came out, and returns ErrSlower if a stage is slower than it may be.
func report(out io.Writer, verdicts []Verdict, accepted map[string]float64, took time.Duration) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "stage\tCPU time by the base's\tchance\tpairs\tnoise of a pair\twould have seen\t")
	var slower []string
	for _, v := range verdicts {
		remark := ""
		switch {
		case v.Slower:
			remark = "SLOWER"
			slower = append(slower, v.Stage)
		case v.Sees > (1+Sought)*(1+accepted[v.Stage])-1:
			remark = "too noisy to tell"
		}
		if a := accepted[v.Stage]; a > 0 {
			remark += fmt.Sprintf(" (%.0f%% accepted)", 100*a)
		}
		fmt.Fprintf(w, "%s\t%.3f\t%.3g\t%d\t%.1f%%\t%.0f%%\t%s\n", v.Stage, v.Ratio, v.Chance, v.Pairs, 100*v.Noise, 100*v.Sees, remark)
	}
	w.Flush()
	if len(slower) > 0 {
		names := strings.Join(slower, ",")
		fmt.Fprintf(out, "gate: failed in %.0f s. Again, these alone: go run ./perf gate -stages %s. A slow-down that is meant gets a line in %s.\n",
			took.Seconds(), names, acceptedFile)
		return fmt.Errorf("%w: %s", ErrSlower, names)
	}
	fmt.Fprintf(out, "gate: passed in %.0f s: no stage is slower by more than %.0f%% and its noise\n", took.Seconds(), 100*Margin)
	return nil
}

package gate

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// acceptedFile names the slow-downs that changes owned up to, in the repository: a line for each, of a stage, the ratio of
// times at most (1.20), and the reason.
const acceptedFile = "perf/baselines/accepted"

// accepted returns what the change accepts, by stage, as a slow-down (0.20). Only lines that the base does not have count:
// what it has was accepted of another change. Lines of one stage multiply.
func accepted(ctx context.Context, repo string, base Base) (map[string]float64, error) {
	now, err := os.ReadFile(filepath.Join(repo, filepath.FromSlash(acceptedFile)))
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	before, err := git(ctx, repo, "show", base.Commit+":"+acceptedFile)
	if err != nil {
		before = "" // the base has no such file
	}
	had := map[string]bool{}
	for line := range strings.Lines(before + "\n") {
		had[strings.TrimSpace(line)] = true
	}
	slower := map[string]float64{}
	n := 0
	for line := range strings.Lines(string(now)) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") || had[line] {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) < 3 {
			return nil, fmt.Errorf("%s:%d: want a stage, a ratio, and a reason", acceptedFile, n)
		}
		ratio, err := strconv.ParseFloat(fields[1], 64)
		if err != nil || ratio <= 1 || ratio > 10 {
			return nil, fmt.Errorf("%s:%d: ratio %q: want the change's time by the base's, above 1 (1.20) and at most 10", acceptedFile, n, fields[1])
		}
		slower[fields[0]] = (1+slower[fields[0]])*ratio - 1
	}
	return slower, nil
}

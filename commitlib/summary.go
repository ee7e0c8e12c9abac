package commitlib

import (
	"encoding/json"
	"fmt"
	"strconv"

	"firn/commitlib/iceberg"
)

// summary is what the snapshot says of itself: the specification's counts for an append, the ranges for audit, and
// totals carried forward where the parent has them.
func (r *run) summary(parent *iceberg.Snapshot) (map[string]string, error) {
	ranges, err := json.Marshal(r.plan.ranges)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", PropRanges, err)
	}
	var files, rows, bytes int64
	tuples := make(map[string]struct{})
	var tuple []byte
	for _, i := range r.plan.apply {
		for j := range r.reqs[i].Files {
			f := &r.reqs[i].Files[j]
			files, rows, bytes = files+1, rows+f.RecordCount, bytes+f.FileSizeInBytes
			tuple = strconv.AppendInt(tuple[:0], int64(r.reqs[i].SpecID), 10)
			for _, v := range f.Partition {
				tuple = fmt.Appendf(tuple, " %x %t", v, v == nil)
			}
			tuples[string(tuple)] = struct{}{}
		}
	}
	s := map[string]string{
		"operation":               iceberg.OpAppend,
		"added-data-files":        strconv.FormatInt(files, 10),
		"added-records":           strconv.FormatInt(rows, 10),
		"added-files-size":        strconv.FormatInt(bytes, 10),
		"changed-partition-count": strconv.Itoa(len(tuples)),
		"engine-name":             "firn",
		PropRanges:                string(ranges),
	}
	for key, added := range map[string]int64{
		"total-data-files": files, "total-records": rows, "total-files-size": bytes,
		"total-delete-files": 0, "total-position-deletes": 0, "total-equality-deletes": 0,
	} {
		if parent == nil {
			s[key] = strconv.FormatInt(added, 10)
			continue
		}
		// A parent without the total, or with nonsense, has no total to add to: it is left
		// out, as the specification allows.
		if before, err := strconv.ParseInt(parent.Summary[key], 10, 64); err == nil {
			s[key] = strconv.FormatInt(before+added, 10)
		}
	}
	return s, nil
}

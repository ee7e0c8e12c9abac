package registry

import (
	"fmt"
	"slices"
	"strings"

	"firn/commitlib/iceberg"
)

// byTime lists the units of time that a table can be partitioned by; the words of the setting are their transforms.
var byTime = []string{iceberg.PartitionHour, iceberg.PartitionDay, iceberg.PartitionMonth}

// canonicalPartitionBy is the one form of settings that mean the same: the unit of time, spelled out, then partition.
func canonicalPartitionBy(by []string) ([]string, error) {
	spec, err := iceberg.EventSpec(by)
	if err != nil {
		return nil, err
	}
	return partitionByOf(spec)
}

// partitionByOf reads the setting back from a table's spec.
func partitionByOf(spec iceberg.PartitionSpec) ([]string, error) {
	unit, lane := iceberg.PartitionNone, false
	for _, f := range spec.Fields {
		transform := strings.ToLower(f.Transform)
		switch {
		case f.SourceID == iceberg.FieldEventTime && slices.Contains(byTime, transform) && unit == iceberg.PartitionNone:
			unit = transform
		case f.SourceID == iceberg.FieldPartition && transform == iceberg.TransformIdentity && !lane:
			lane = true
		default:
			return nil, fmt.Errorf("its partition field %q is %s of column %d, which Firn does not write; it writes one of hour, day and month of event_time, and partition",
				f.Name, f.Transform, f.SourceID)
		}
	}
	if lane {
		return []string{unit, iceberg.EachPartition}, nil
	}
	return []string{unit}, nil
}

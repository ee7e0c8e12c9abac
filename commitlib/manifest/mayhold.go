package manifest

import "firn/commitlib/iceberg"

// MayHold reports whether, by what the list says of it, the manifest may hold files of a partition of its spec; types are
// those of the spec's values (iceberg.Metadata.PartitionTypes). It is true where that cannot be told.
func (l *ListEntry) MayHold(types []iceberg.Type, partition [][]byte) bool {
	if len(types) == 0 || len(l.Partitions) != len(types) || len(partition) != len(types) {
		return true
	}
	for i, v := range partition {
		if !l.Partitions[i].mayHold(types[i], v) {
			return false
		}
	}
	return true
}

func (s *FieldSummary) mayHold(t iceberg.Type, v []byte) bool {
	if v == nil {
		return s.ContainsNull
	}
	if s.Lower == nil || s.Upper == nil { // all are null, or NaN
		return s.ContainsNaN != nil && *s.ContainsNaN
	}
	if c, err := iceberg.CompareValues(t, v, s.Lower); err == nil && c < 0 {
		return false
	}
	if c, err := iceberg.CompareValues(t, v, s.Upper); err == nil && c > 0 {
		return false
	}
	return true
}

package commitlib

import (
	"firn/commitlib/iceberg"
	"firn/commitlib/manifest"
)

// places are the partitions that a rewrite removes files from, by which manifests are left unread.
type places struct {
	bySpec map[int]*specPlaces
	meta   *iceberg.Metadata
}

type specPlaces struct {
	types  []iceberg.Type // of the partition values; nil: not known, so that nothing is ruled out
	tuples [][][]byte
}

func (r *rewriting) places() *places {
	p := &places{bySpec: make(map[int]*specPlaces), meta: r.parent.table.Metadata}
	seen := make(map[string]bool)
	var key []byte
	for i := range r.rw.Remove {
		f := &r.rw.Remove[i]
		s := p.bySpec[f.SpecID]
		if s == nil {
			s = &specPlaces{types: p.meta.PartitionTypes(f.SpecID)}
			p.bySpec[f.SpecID] = s
		}
		if key = tupleKey(key[:0], f.SpecID, f.Partition); !seen[string(key)] {
			seen[string(key)] = true
			s.tuples = append(s.tuples, f.Partition)
		}
	}
	return p
}

// mayHold reports whether a manifest may hold files of one of the partitions.
func (p *places) mayHold(l *manifest.ListEntry) bool {
	s := p.bySpec[l.SpecID]
	if s == nil {
		return false
	}
	for _, tuple := range s.tuples {
		if l.MayHold(s.types, tuple) {
			return true
		}
	}
	return false
}

// deletesApply reports whether the delete files of a manifest may apply to files of one of the partitions: those of the
// same spec and partition do, and equality deletes without partition fields apply to all (spec: "Scan Planning").
func (p *places) deletesApply(l *manifest.ListEntry) bool {
	if spec, ok := p.meta.Spec(l.SpecID); !ok || len(spec.Fields) == 0 {
		return true
	}
	return p.mayHold(l)
}

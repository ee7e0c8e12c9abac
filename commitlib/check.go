package commitlib

import (
	"errors"
	"fmt"
	"math"

	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
)

// refusal is why a request can never succeed on this table, and what the operator may do about it.
type refusal struct{ reason, advice string }

// Advice says what the operator may do about an error of ReadWatermark that stops shipping to a table.
func Advice(err error) string {
	switch {
	case errors.Is(err, ErrNotFirn):
		return "restore the property " + PropProtocol + " (an earlier metadata file has it), " +
			"or update this build if the version is newer; a table that Firn did not make takes no commits"
	case errors.Is(err, ErrWatermarksLost):
		return "with the committers stopped, restore the property " + PropWatermarks + " from the newest metadata file that still " +
			"has it, and the file that it names from a copy of the store; never reset them to empty: that would double what is in flight"
	case errors.Is(err, ErrBelowTrace):
		return "with the committers stopped, restore the property " + PropWatermarks + " from the newest metadata file in which " +
			"it still counts what the retained snapshots hold"
	case errors.Is(err, ErrReplaced):
		return "to go on with the new contents, remove the member \"root\" from the property " + PropWatermarks +
			"; to begin anew, drop the table, and its files with it, and let ingestd make it"
	case errors.Is(err, errFormat):
		return "Firn writes format version 2 only: recreate the table with 'format-version'='2'"
	case errors.Is(err, errElsewhere):
		return "give the committer the warehouse that the catalog's tables lie in"
	}
	return ""
}

// checkFiles says whether what the request's files mean is what the table still means. The watermark says that the
// request is next; this says that its rows would be read as they were written.
func checkFiles(t *catalog.Table, r *Request) *refusal {
	m := t.Metadata
	if r.Location != t.Location {
		return &refusal{
			fmt.Sprintf("files lie under %q, the table under %q", r.Location, t.Location),
			"the table was moved: move it back, or drop it and let ingestd make it anew",
		}
	}
	const replaced = "the table was replaced or its columns changed by hand: undo that, or drop the table, and its files with it, and let ingestd make it anew"
	schema := m.Schema(r.SchemaID)
	if schema == nil || SchemaHash(schema) != r.SchemaHash {
		return &refusal{fmt.Sprintf("schema %d is not what the files were written with", r.SchemaID), replaced}
	}
	if reason := checkReadable(schema, m.CurrentSchema()); reason != "" {
		return &refusal{reason, replaced}
	}
	spec, ok := m.Spec(r.SpecID)
	if !ok || SpecHash(&spec) != r.SpecHash {
		return &refusal{fmt.Sprintf("partition spec %d is not what the files were written with", r.SpecID), replaced}
	}
	if reason := checkValues(schema, &spec, r.Files); reason != "" {
		return &refusal{reason, "the sender wrote a request that no reader could use: update or report it"}
	}
	return nil
}

// checkReadable says why rows written with schema would lose a column, or fail, under the current one. Added
// optional columns, renames and widened types are fine: that is Iceberg's schema evolution.
func checkReadable(schema, current *iceberg.Schema) string {
	if current == nil || schema.ID == current.ID {
		return ""
	}
	for _, f := range schema.Fields {
		now, ok := current.FieldByID(f.ID)
		if !ok {
			return fmt.Sprintf("column %q (id %d) of the files is no longer in the table", f.Name, f.ID)
		}
		if now.Type != f.Type && !widened(f.Type, now.Type) {
			return fmt.Sprintf("column %q (id %d) is %s in the files and %s in the table", f.Name, f.ID, f.Type, now.Type)
		}
		if now.Required && !f.Required {
			return fmt.Sprintf("column %q (id %d) is required in the table, and the files may hold nulls", f.Name, f.ID)
		}
	}
	for _, f := range current.Fields {
		if _, ok := schema.FieldByID(f.ID); !ok && f.Required {
			return fmt.Sprintf("the table requires column %q (id %d), which the files lack", f.Name, f.ID)
		}
	}
	return ""
}

// widened lists the type promotions of the specification that a type which Firn writes can undergo.
func widened(from, to iceberg.Type) bool { return from == iceberg.Int && to == iceberg.Long }

// checkValues keeps a request with partition values, counts or bounds of the wrong form from failing the
// commit of others, or every reader after it.
func checkValues(schema *iceberg.Schema, spec *iceberg.PartitionSpec, files []iceberg.DataFile) string {
	types := make([]iceberg.Type, len(spec.Fields))
	for i, f := range spec.Fields {
		source, ok := schema.FieldByID(f.SourceID)
		if !ok {
			return fmt.Sprintf("partition field %q has a source column %d that the files lack", f.Name, f.SourceID)
		}
		var err error
		if types[i], err = iceberg.ResultType(f.Transform, source.Type); err != nil {
			return fmt.Sprintf("partition field %q: %v", f.Name, err)
		}
	}
	columns := make(map[int]iceberg.Type, len(schema.Fields))
	for _, f := range schema.Fields {
		columns[f.ID] = f.Type
	}
	for i := range files {
		f := &files[i]
		if len(f.Partition) != len(types) {
			return fmt.Sprintf("file %q has %d partition values, the spec %d", f.Path, len(f.Partition), len(types))
		}
		for j, v := range f.Partition {
			if v != nil && !wellFormed(types[j], v) {
				return fmt.Sprintf("file %q: partition value %d is not of type %s", f.Path, j, types[j])
			}
		}
		for _, counts := range []map[int]int64{f.ColumnSizes, f.ValueCounts, f.NullValueCounts} {
			for id := range counts {
				if _, ok := columns[id]; !ok {
					return fmt.Sprintf("file %q: count of column %d, which the files lack", f.Path, id)
				}
			}
		}
		if f.SortOrderID < 0 || f.SortOrderID > math.MaxInt32 {
			return fmt.Sprintf("file %q: sort order %d is beyond 32 bits", f.Path, f.SortOrderID)
		}
		for _, bounds := range []map[int][]byte{f.LowerBounds, f.UpperBounds} {
			for id, v := range bounds {
				if t, ok := columns[id]; !ok || !wellFormed(t, v) {
					return fmt.Sprintf("file %q: bound of column %d is not of type %q", f.Path, id, t)
				}
			}
		}
	}
	return ""
}

// wellFormed reports whether v is a single value of type t in its binary form.
func wellFormed(t iceberg.Type, v []byte) bool {
	_, err := iceberg.CompareValues(t, v, v)
	return err == nil
}

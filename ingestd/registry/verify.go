package registry

import (
	"fmt"

	"github.com/google/uuid"

	"firn/commitlib"
	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
)

// Verify checks that a state just loaded is still the table that events were acked for and that Firn can write it, and
// returns what new data files are to be written with. Where another engine removed the schema version or the spec that
// were in use, the table's newer ones are taken up. ship calls it for each state it has not seen.
//
// Errors: ErrReplaced where the name now belongs to another table; *RejectedError where the columns, the
// partitioning or the marker no longer fit.
func (r *Registry) Verify(name string, table uuid.UUID, ct *catalog.Table) (*Table, error) {
	if ct.Metadata.TableUUID != table {
		return nil, fmt.Errorf("%w: %s has UUID %s, and these events were acked for %s", ErrReplaced, name, ct.Metadata.TableUUID, table)
	}
	t, known := r.Get(name)
	if known && t.UUID == table && t.writes(ct.Metadata) && t.Location == ct.Location {
		return t, nil
	}
	if known && t.UUID == table {
		return r.publish(name, ct, want{})
	}
	// The registry has adopted a table made anew, and the catalog shows the one before it again: its backlog may drain.
	old, err := fit(ct)
	if err != nil {
		return nil, rejected(name, err)
	}
	old.Name, old.Settings = name, r.cfg.Defaults.clone()
	return old, nil
}

// Versions returns the schema and the spec with these ids where the table still has them and Firn can write by them.
func Versions(m *iceberg.Metadata, schemaID, specID int) (*iceberg.Schema, iceberg.PartitionSpec, bool) {
	schema := m.Schema(schemaID)
	spec, ok := m.Spec(specID)
	if schema == nil || !ok {
		return nil, iceberg.PartitionSpec{}, false
	}
	payload, _ := schema.FieldByID(iceberg.FieldPayload)
	if _, err := partitionByOf(spec); err != nil || !isExactly(schema, iceberg.EventSchema(payload.Type)) {
		return nil, iceberg.PartitionSpec{}, false
	}
	return schema, spec, true
}

// writes reports whether files written as t says still belong in a table with that metadata.
func (t *Table) writes(m *iceberg.Metadata) bool {
	if _, err := commitlib.ParseWatermarks(m.Properties); err != nil || m.FormatVersion != iceberg.FormatVersion {
		return false
	}
	current := m.CurrentSchema()
	schema, spec, ok := Versions(m, t.Schema.ID, t.Spec.ID)
	return ok && current != nil && reads(current, t.Schema) == nil && isExactly(schema, t.Schema) &&
		commitlib.SpecHash(&spec) == commitlib.SpecHash(&t.Spec)
}

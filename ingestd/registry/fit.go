package registry

import (
	"errors"
	"fmt"
	"slices"

	"firn/commitlib"
	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
)

// fit derives what data files are written with from a loaded table, or says why Firn cannot write it.
//
// One schema version must consist of the event columns by id, name and type: files are written with it. The current
// schema may have evolved from there as Iceberg allows: columns added (optional ones, which readers fill with nulls),
// renamed or widened; but an event column that is gone, or is another one after CREATE OR REPLACE, would lose data.
func fit(ct *catalog.Table) (*Table, error) {
	m := ct.Metadata
	if _, err := commitlib.ParseWatermarks(m.Properties); err != nil {
		return nil, fmt.Errorf("%w; use another name, or put its properties right", err)
	}
	switch {
	case m.FormatVersion < iceberg.FormatVersion:
		return nil, fmt.Errorf("its format version is %d, and Firn writes %d: upgrade the table with the engine that made it", m.FormatVersion, iceberg.FormatVersion)
	case m.FormatVersion > iceberg.FormatVersion:
		return nil, fmt.Errorf("its format version is %d, and Firn writes %d: there is no way back for a table, so use another", m.FormatVersion, iceberg.FormatVersion)
	}
	schema, err := fitSchema(m)
	if err != nil {
		return nil, err
	}
	spec, ok := m.Spec(m.DefaultSpecID)
	if !ok {
		return nil, fmt.Errorf("its default partition spec %d is missing from its metadata", m.DefaultSpecID)
	}
	by, err := partitionByOf(spec)
	if err != nil {
		return nil, err
	}
	t := &Table{Ident: ct.Ident, UUID: m.TableUUID, Location: ct.Location, Schema: schema, Spec: spec}
	t.Settings.Payload, t.Settings.PartitionBy = PayloadText, by
	if f, _ := schema.FieldByID(iceberg.FieldPayload); f.Type == iceberg.Binary {
		t.Settings.Payload = PayloadBinary
	}
	return t, nil
}

// fitSchema returns the table's newest schema version that consists of the event columns.
func fitSchema(m *iceberg.Metadata) (*iceberg.Schema, error) {
	current := m.CurrentSchema()
	if current == nil {
		return nil, fmt.Errorf("its current schema %d is missing from its metadata", m.CurrentSchemaID)
	}
	payload, ok := current.FieldByID(iceberg.FieldPayload)
	if !ok || payload.Type != iceberg.String && payload.Type != iceberg.Binary {
		return nil, errors.New("its current schema has no column 7 payload of type string or binary")
	}
	want := iceberg.EventSchema(payload.Type)
	if err := reads(current, want); err != nil {
		return nil, err
	}
	var best *iceberg.Schema
	for _, s := range m.Schemas {
		if isExactly(s, want) && (best == nil || s.ID > best.ID) {
			best = s
		}
	}
	if best == nil {
		return nil, errors.New("none of its schema versions consists of the event columns alone; Firn writes with such a one")
	}
	return best, nil
}

// reads checks that rows written with the columns of files keep all of them under the current schema.
func reads(current, files *iceberg.Schema) error {
	for _, w := range files.Fields {
		h, ok := current.FieldByID(w.ID)
		switch {
		case !ok:
			return fmt.Errorf("its schema %d has no column %d (%s)", current.ID, w.ID, w.Name)
		case h.Type != w.Type && !(w.Type == iceberg.Int && h.Type == iceberg.Long):
			return fmt.Errorf("column %d (%s) of its schema %d is %s, and Firn writes %s", w.ID, w.Name, current.ID, h.Type, w.Type)
		case h.Required && !w.Required:
			return fmt.Errorf("column %s of its schema %d is required, and Firn writes nulls", w.Name, current.ID)
		}
	}
	for _, h := range current.Fields {
		if _, ok := files.FieldByID(h.ID); !ok && h.Required {
			return fmt.Errorf("its schema %d has the required column %s, which Firn does not fill", current.ID, h.Name)
		}
	}
	return nil
}

// isExactly reports whether have consists of the columns of want, in their order. Documentation may differ.
func isExactly(have, want *iceberg.Schema) bool {
	return slices.EqualFunc(have.Fields, want.Fields, func(a, b iceberg.Field) bool {
		return a.ID == b.ID && a.Name == b.Name && a.Type == b.Type && a.Required == b.Required
	})
}

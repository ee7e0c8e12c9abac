package iceberg

import (
	"errors"
	"fmt"

	"github.com/google/uuid"
)

// ErrFormatVersion is returned for a table whose format version Firn does not read, or reads but does not write.
var ErrFormatVersion = errors.New("table format version is not one that Firn can handle here")

// required lists the members that format version 2 demands; their places in it are bits of parser.has.
var required = []string{
	"format-version", "table-uuid", "location", "last-sequence-number", "last-updated-ms", "last-column-id", "schemas",
	"current-schema-id", "partition-specs", "default-spec-id", "last-partition-id", "sort-orders", "default-sort-order-id",
}

// parser holds what is read before it is known which format version it belongs to.
type parser struct {
	m      *Metadata
	has    map[string]bool
	schema *Schema          // version 1: the one schema
	spec   []PartitionField // version 1: the one spec's fields
}

// ParseMetadata reads a table's metadata, fills in what older writers left out, and checks that what it names is there.
// Its strings share memory with one copy of data.
func ParseMetadata(data []byte) (*Metadata, error) {
	doc, err := validText(data)
	if err != nil {
		return nil, fmt.Errorf("read table metadata: %w", err)
	}
	p := newParser()
	return p.parse(doc, p.member)
}

func newParser() *parser {
	return &parser{m: &Metadata{Properties: map[string]string{}, Refs: map[string]Ref{}}, has: map[string]bool{}}
}

// parse reads the members of doc by member, and checks what has come together.
func (p *parser) parse(doc string, member func(key, v string) error) (_ *Metadata, err error) {
	if p.m.extra, err = eachMember(doc, member); err != nil {
		return nil, fmt.Errorf("read table metadata: %w", err)
	}
	if err := p.complete(); err != nil {
		return nil, fmt.Errorf("read table metadata: %w", err)
	}
	if err := p.m.check(); err != nil {
		return nil, fmt.Errorf("read table metadata: %w", err)
	}
	return p.m, nil
}

// UnmarshalJSON is ParseMetadata.
func (m *Metadata) UnmarshalJSON(b []byte) error {
	got, err := ParseMetadata(b)
	if err == nil {
		*m = *got
	}
	return err
}

func validText(data []byte) (string, error) {
	doc := string(data)
	return doc, checkJSON(doc)
}

func (p *parser) member(key, v string) (err error) {
	m := p.m
	if v == "null" && key != "format-version" {
		// An absent member by another name; only what we do not know is carried as null.
		if known[key] {
			return nil
		}
	}
	p.has[key] = true
	switch key {
	case "format-version":
		m.FormatVersion, err = asInt(v)
		if err == nil && (m.FormatVersion < 1 || m.FormatVersion > 3) {
			err = fmt.Errorf("%w: %d, want 1, 2 or 3; a newer Firn may read it", ErrFormatVersion, m.FormatVersion)
		}
	case "table-uuid":
		var s string
		if s, err = asString(v); err == nil {
			m.TableUUID, err = uuid.Parse(s)
		}
	case "location":
		m.Location, err = asString(v)
		m.Location = trimLocation(m.Location)
	case "last-sequence-number":
		m.LastSequenceNumber, err = asInt64(v)
	case "last-updated-ms":
		m.LastUpdatedMs, err = asInt64(v)
	case "last-column-id":
		m.LastColumnID, err = asInt(v)
	case "schema":
		p.schema, err = parseSchema(v)
	case "schemas":
		m.Schemas, err = parseList(v, parseSchema)
	case "current-schema-id":
		m.CurrentSchemaID, err = asInt(v)
	case "partition-spec":
		p.spec, err = parsePartitionFields(v)
	case "partition-specs":
		m.Specs, err = parseList(v, parseSpec)
	case "default-spec-id":
		m.DefaultSpecID, err = asInt(v)
	case "last-partition-id":
		m.LastPartitionID, err = asInt(v)
	case "properties":
		m.Properties, err = asStringMap(v)
	case "current-snapshot-id":
		m.CurrentSnapshotID, err = asID(v)
	case "snapshots":
		m.Snapshots, err = parseList(v, parseSnapshot)
	case "snapshot-log":
		m.SnapshotLog, err = parseList(v, parseSnapshotLogEntry)
	case "metadata-log":
		m.MetadataLog, err = parseList(v, parseMetadataLogEntry)
	case "sort-orders":
		m.SortOrders, err = parseList(v, parseSortOrder)
	case "default-sort-order-id":
		m.DefaultSortOrderID, err = asInt(v)
	case "refs":
		_, err = eachMember(v, func(name, v string) error {
			r, err := parseRef(v)
			m.Refs[name] = r
			return err
		})
	default:
		return errCarry
	}
	return err
}

// known holds the members that parser.member names.
var known = func() map[string]bool {
	k := map[string]bool{"schema": true, "partition-spec": true, "properties": true, "current-snapshot-id": true,
		"snapshots": true, "snapshot-log": true, "metadata-log": true, "refs": true}
	for _, key := range required {
		k[key] = true
	}
	return k
}()

// complete demands what the format version demands, and fills in what version 1 and older writers leave out.
func (p *parser) complete() error {
	m := p.m
	if !p.has["format-version"] {
		return errors.New(`it has no "format-version": is this a table metadata file?`)
	}
	if m.FormatVersion >= 2 {
		for _, key := range required {
			if !p.has[key] {
				return fmt.Errorf("format version %d demands %q, which is missing or null", m.FormatVersion, key)
			}
		}
	} else if err := p.completeV1(); err != nil {
		return err
	}
	if m.CurrentSnapshotID != 0 {
		if _, ok := m.Refs[MainBranch]; !ok {
			m.Refs[MainBranch] = Ref{SnapshotID: m.CurrentSnapshotID, Type: RefBranch}
		}
	}
	return nil
}

func (p *parser) completeV1() error {
	m := p.m
	for _, key := range []string{"location", "last-updated-ms", "last-column-id"} {
		if !p.has[key] {
			return fmt.Errorf("format version 1 demands %q, which is missing or null", key)
		}
	}
	if len(m.Schemas) == 0 {
		if p.schema == nil {
			return errors.New(`format version 1 demands "schema" or "schemas"`)
		}
		m.Schemas, m.CurrentSchemaID = []*Schema{p.schema}, p.schema.ID
	} else if !p.has["current-schema-id"] {
		return errors.New(`"schemas" demands "current-schema-id"`)
	}
	if len(m.Specs) == 0 {
		if p.spec == nil {
			return errors.New(`format version 1 demands "partition-spec" or "partition-specs"`)
		}
		m.Specs, m.DefaultSpecID = []PartitionSpec{{Fields: p.spec}}, 0
	} else if !p.has["default-spec-id"] {
		return errors.New(`"partition-specs" demands "default-spec-id"`)
	}
	if !p.has["last-partition-id"] {
		m.LastPartitionID = FirstPartitionFieldID - 1
		for _, s := range m.Specs {
			m.LastPartitionID = max(m.LastPartitionID, s.lastFieldID())
		}
	}
	if len(m.SortOrders) == 0 {
		m.SortOrders, m.DefaultSortOrderID = []SortOrder{{Fields: []SortField{}}}, 0
	}
	return nil
}

// check verifies that what the metadata names is in it.
func (m *Metadata) check() error {
	if m.Location == "" {
		return errors.New(`"location" is empty`)
	}
	if m.TableUUID == uuid.Nil && m.FormatVersion >= 2 {
		return errors.New(`"table-uuid" is zero`)
	}
	if m.CurrentSchema() == nil {
		return fmt.Errorf("current-schema-id names schema %d, which is not among the schemas", m.CurrentSchemaID)
	}
	if _, ok := m.Spec(m.DefaultSpecID); !ok {
		return fmt.Errorf("default-spec-id names partition spec %d, which is not among the specs", m.DefaultSpecID)
	}
	ids := make(map[int64]bool, len(m.Snapshots))
	for _, s := range m.Snapshots {
		if ids[s.ID] {
			return fmt.Errorf("two snapshots have id %d", s.ID)
		}
		ids[s.ID] = true
		if m.FormatVersion >= 2 && s.ManifestList == "" {
			return fmt.Errorf("snapshot %d has no manifest-list, which format version %d demands", s.ID, m.FormatVersion)
		}
		if m.FormatVersion >= 2 && s.SequenceNumber > m.LastSequenceNumber {
			return fmt.Errorf("snapshot %d has sequence number %d, above last-sequence-number %d", s.ID, s.SequenceNumber, m.LastSequenceNumber)
		}
	}
	if m.CurrentSnapshotID != 0 && !ids[m.CurrentSnapshotID] {
		return fmt.Errorf("current-snapshot-id names snapshot %d, which is not among the snapshots", m.CurrentSnapshotID)
	}
	for _, name := range sortedKeys(m.Refs) {
		if r := m.Refs[name]; !ids[r.SnapshotID] {
			return fmt.Errorf("ref %q names snapshot %d, which is not among the snapshots", name, r.SnapshotID)
		}
	}
	if main, ok := m.Refs[MainBranch]; ok && main.SnapshotID != m.CurrentSnapshotID {
		return fmt.Errorf("ref main names snapshot %d, current-snapshot-id %d", main.SnapshotID, m.CurrentSnapshotID)
	}
	return nil
}

func parseList[T any](doc string, parse func(string) (T, error)) ([]T, error) {
	var list []T
	err := eachElement(doc, func(v string) error {
		e, err := parse(v)
		list = append(list, e)
		return err
	})
	return list, err
}

func parseSnapshotLogEntry(doc string) (SnapshotLogEntry, error) {
	var e SnapshotLogEntry
	_, err := eachMember(doc, func(key, v string) (err error) {
		switch key {
		case "timestamp-ms":
			e.TimestampMs, err = asInt64(v)
		case "snapshot-id":
			e.SnapshotID, err = asInt64(v)
		}
		return err
	})
	return e, err
}

func parseMetadataLogEntry(doc string) (MetadataLogEntry, error) {
	var e MetadataLogEntry
	_, err := eachMember(doc, func(key, v string) (err error) {
		switch key {
		case "timestamp-ms":
			e.TimestampMs, err = asInt64(v)
		case "metadata-file":
			e.MetadataFile, err = asString(v)
		}
		return err
	})
	return e, err
}

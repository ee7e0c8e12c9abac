package glue

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"

	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
)

// The parameters by which an entry says that it is an Iceberg table, and where its metadata lies.
const (
	paramTableType        = "table_type"
	paramMetadataLocation = "metadata_location"
	paramPrevious         = "previous_metadata_location"

	tableTypeIceberg = "ICEBERG" // compared without regard to case
	externalTable    = "EXTERNAL_TABLE"
)

// The table properties that are shown in an entry's own members.
const propComment = "comment"

// locationProperties are the table properties that name further places where a table's files lie.
var locationProperties = []string{"write.data.path", "write.metadata.path", "write.object-storage.path", "write.folder-storage.path"}

// carried are the members that an entry keeps through a swap: UpdateTable replaces the whole entry, and takes no others
// that an Iceberg table can have.
var carried = []string{"Description", "Owner", "LastAccessTime", "LastAnalyzedTime", "Retention", "PartitionKeys"}

// The service's bounds on what is shown: beyond them it refuses the request, and the commit with it.
const (
	maxCommentBytes     = 255
	maxTypeBytes        = 131072
	maxDescriptionBytes = 2048
)

// entry is a table's entry as GetTable answers it.
type entry struct {
	members    map[string]json.RawMessage
	versionID  string
	parameters map[string]string
	storage    map[string]json.RawMessage // the storage descriptor's members
}

func newEntry(text json.RawMessage) (*entry, error) {
	if len(text) == 0 {
		text = json.RawMessage("null")
	}
	e := &entry{}
	err := json.Unmarshal(text, &e.members)
	for name, to := range map[string]any{"VersionId": &e.versionID, "Parameters": &e.parameters, "StorageDescriptor": &e.storage} {
		if v, ok := e.members[name]; err == nil && ok {
			err = json.Unmarshal(v, to)
		}
	}
	if err == nil && e.members == nil {
		err = errors.New("it has no Table")
	}
	if err != nil {
		return nil, fmt.Errorf("decode GetTable's answer: %w", err)
	}
	return e, nil
}

// metadataLocation returns where the entry says that the table's metadata lies, or why it is no table that we can
// write.
func (e *entry) metadataLocation() (string, error) {
	kind := e.parameters[paramTableType]
	location := e.parameters[paramMetadataLocation]
	switch {
	case has(e.members, "TargetTable"):
		return "", errors.New("the entry is a resource link to a table of another database or account: " +
			"use the database that it points at, and set FIRN_CATALOG_WAREHOUSE to that account's id")
	case has(e.members, "ViewOriginalText"):
		return "", errors.New("the entry is a view, not a table: choose another table name")
	case !strings.EqualFold(kind, tableTypeIceberg):
		if kind == "" {
			kind = "none: a Hive table or another engine's"
		}
		return "", fmt.Errorf("the entry is not an Iceberg table (%s: %s): choose another table name, or drop it from Glue", paramTableType, kind)
	case location == "":
		return "", fmt.Errorf("the entry has no %s: whoever made it did not finish; drop it from Glue, or make it whole by registering its metadata", paramMetadataLocation)
	}
	return location, nil
}

// has says whether a member is there and says anything.
func has(members map[string]json.RawMessage, name string) bool {
	switch string(members[name]) {
	case "", "null", `""`, "{}":
		return false
	}
	return true
}

// newTableInput is the entry of a new table.
func newTableInput(id catalog.Ident, location string, m *iceberg.Metadata) tableInput {
	empty := &entry{}
	return empty.tableInput(id, location, "", nil, m)
}

// tableInput is the entry that makes m, which lies at location, the table's metadata after base, which lies at
// previous. It is what Iceberg's Java catalog writes, which PyIceberg's differs from in one thing: that copies all
// table properties into the parameters. Copies that are there are kept true, so that nobody is shown old watermarks.
func (e *entry) tableInput(id catalog.Ident, location, previous string, base, m *iceberg.Metadata) tableInput {
	in := tableInput{"Name": id.Name, "TableType": externalTable}
	for _, name := range carried {
		if v, ok := e.members[name]; ok && string(v) != "null" {
			in[name] = v
		}
	}
	if comment, ok := m.Properties[propComment]; ok {
		in["Description"] = cut(comment, maxDescriptionBytes)
	}
	in["Parameters"] = e.newParameters(location, previous, base, m)
	in["StorageDescriptor"] = e.newStorage(m)
	return in
}

func (e *entry) newParameters(location, previous string, base, m *iceberg.Metadata) map[string]string {
	p := maps.Clone(e.parameters)
	if p == nil {
		p = map[string]string{}
	}
	for key := range p {
		if value, ok := m.Properties[key]; ok {
			p[key] = value
		} else if _, had := base.Properties[key]; had {
			delete(p, key)
		}
	}
	p[paramTableType], p[paramMetadataLocation] = tableTypeIceberg, location
	if previous != "" {
		p[paramPrevious] = previous
	}
	return p
}

func (e *entry) newStorage(m *iceberg.Metadata) map[string]any {
	s := map[string]any{}
	for name, v := range e.storage {
		if string(v) != "null" {
			s[name] = v
		}
	}
	s["Location"] = m.Location
	s["Columns"] = columns(m, e.comments())
	var further []string
	for _, key := range locationProperties {
		if v, ok := m.Properties[key]; ok {
			further = append(further, v)
		}
	}
	if delete(s, "AdditionalLocations"); further != nil {
		s["AdditionalLocations"] = further
	}
	return s
}

// comments returns what the entry's columns are commented with: Glue's users write there, and a column without a doc
// keeps it.
func (e *entry) comments() map[string]string {
	var have []column
	if json.Unmarshal(e.storage["Columns"], &have) != nil {
		return nil // columns are shown, not relied upon: ours replace what nobody can read
	}
	found := map[string]string{}
	for _, c := range have {
		if _, dup := found[c.Name]; !dup && c.Comment != "" {
			found[c.Name] = c.Comment
		}
	}
	return found
}

package glue

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"firn/commitlib/iceberg"
)

// column is one of an entry's columns. They are there for people and consoles: readers take the schema from the
// metadata.
type column struct {
	Name       string
	Type       string
	Comment    string            `json:",omitempty"`
	Parameters map[string]string `json:",omitempty"`
}

// columns are those of the current schema, then those that only earlier ones had; of a name's columns the first.
func columns(m *iceberg.Metadata, comments map[string]string) []column {
	all := []column{}
	seen := map[string]bool{}
	add := func(s *iceberg.Schema, current bool) {
		for _, f := range s.Fields {
			if seen[f.Name] {
				continue
			}
			seen[f.Name] = true
			comment := f.Doc
			if comment == "" {
				comment = comments[f.Name]
			}
			all = append(all, column{
				Name: f.Name, Type: cut(oneLine(columnType(f.Type)), maxTypeBytes),
				Comment: cut(oneLine(comment), maxCommentBytes),
				Parameters: map[string]string{
					"iceberg.field.id":       strconv.Itoa(f.ID),
					"iceberg.field.optional": strconv.FormatBool(!f.Required),
					"iceberg.field.current":  strconv.FormatBool(current),
				},
			})
		}
	}
	add(m.CurrentSchema(), true)
	for _, s := range m.Schemas {
		if s.ID != m.CurrentSchemaID {
			add(s, false)
		}
	}
	return all
}

// hiveTypes are those whose name in Hive's type language is another.
var hiveTypes = map[iceberg.Type]string{
	iceberg.Long: "bigint", iceberg.Time: "string", iceberg.UUID: "string", iceberg.TimestampTZ: "timestamp",
	iceberg.TimestampNS: "timestamp_nano", iceberg.TimestampTZNS: "timestamp_nano",
}

// columnType spells a type in Hive's type language, as Iceberg's Java catalog does.
func columnType(t iceberg.Type) string {
	if !t.Nested() {
		return primitiveType(t)
	}
	var nested any
	if json.Unmarshal([]byte(t), &nested) != nil {
		return "unknown" // the parser of metadata has let it pass, and nobody relies on what is said here
	}
	return nestedType(nested)
}

func primitiveType(t iceberg.Type) string {
	if name, ok := hiveTypes[t]; ok {
		return name
	}
	if precision, scale, ok := t.Decimal(); ok {
		return fmt.Sprintf("decimal(%d,%d)", precision, scale)
	}
	if _, ok := t.Fixed(); ok {
		return "binary"
	}
	name, _, _ := strings.Cut(string(t), "(") // geometry(srid:4326)
	return strings.ToLower(name)
}

// nestedType spells a decoded JSON type.
func nestedType(v any) string {
	if name, ok := v.(string); ok {
		return primitiveType(iceberg.Type(name))
	}
	t, _ := v.(map[string]any)
	switch t["type"] {
	case "struct":
		var parts []string
		fields, _ := t["fields"].([]any)
		for _, f := range fields {
			field, _ := f.(map[string]any)
			name, _ := field["name"].(string)
			parts = append(parts, name+":"+nestedType(field["type"]))
		}
		return "struct<" + strings.Join(parts, ",") + ">"
	case "list":
		return "array<" + nestedType(t["element"]) + ">"
	case "map":
		return "map<" + nestedType(t["key"]) + "," + nestedType(t["value"]) + ">"
	}
	return "unknown"
}

// oneLine replaces what the service takes for the end of a line.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\r' {
			return ' '
		}
		return r
	}, s)
}

// cut shortens s to so many bytes, at a character's end.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}

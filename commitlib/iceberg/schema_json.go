package iceberg

import (
	"encoding/json"
	"fmt"
	"strings"
)

// MarshalJSON writes the schema as table metadata and manifests hold it.
func (s *Schema) MarshalJSON() ([]byte, error) { return s.appendJSON(nil), nil }

// UnmarshalJSON reads a schema; a format version 1 schema without an id gets 0.
func (s *Schema) UnmarshalJSON(b []byte) error {
	got, err := parseSchema(string(b))
	if err == nil {
		*s = *got
	}
	return err
}

// ParseSchema reads a schema from bytes that nobody has checked yet.
func ParseSchema(b []byte) (*Schema, error) {
	doc, err := validText(b)
	if err != nil {
		return nil, fmt.Errorf("read schema: %w", err)
	}
	return parseSchema(doc)
}

func (s *Schema) appendJSON(dst []byte) []byte {
	dst = append(dst, `{"type":"struct"`...)
	dst = appendInt(dst, `,"schema-id":`, int64(s.ID))
	dst = append(dst, `,"fields":`...)
	dst = appendArray(dst, s.Fields, appendField)
	return s.extra.appendTo(dst)
}

func appendField(dst []byte, f Field) []byte {
	dst = appendInt(dst, `{"id":`, int64(f.ID))
	dst = appendString(append(dst, `,"name":`...), f.Name)
	if f.Required {
		dst = append(dst, `,"required":true`...)
	} else {
		dst = append(dst, `,"required":false`...)
	}
	dst = append(dst, `,"type":`...)
	if f.Type.Nested() {
		dst = append(dst, f.Type...)
	} else {
		dst = appendString(dst, string(f.Type))
	}
	if f.Doc != "" {
		dst = appendString(append(dst, `,"doc":`...), f.Doc)
	}
	return f.extra.appendTo(dst)
}

// Nested says whether the type is a struct, list or map, whose text is a JSON object.
func (t Type) Nested() bool { return strings.HasPrefix(string(t), "{") }

func parseSchema(doc string) (*Schema, error) {
	s := &Schema{}
	hasFields := false
	extra, err := eachMember(doc, func(key, v string) (err error) {
		switch key {
		case "type":
			if v != `"struct"` {
				return fmt.Errorf(`want "struct", have %s`, excerpt(v))
			}
		case "schema-id":
			s.ID, err = asInt(v)
		case "fields":
			hasFields = true
			return eachElement(v, func(v string) error {
				f, err := parseField(v)
				s.Fields = append(s.Fields, f)
				return err
			})
		default:
			return errCarry
		}
		return err
	})
	s.extra = extra
	if err != nil {
		return nil, fmt.Errorf("read schema: %w", err)
	}
	if !hasFields {
		return nil, fmt.Errorf("read schema %d: it has no fields member", s.ID)
	}
	seen := make(map[int]bool, len(s.Fields))
	for _, f := range s.Fields {
		if seen[f.ID] {
			return nil, fmt.Errorf("read schema %d: two columns have id %d", s.ID, f.ID)
		}
		seen[f.ID] = true
	}
	return s, nil
}

func parseField(doc string) (Field, error) {
	var f Field
	has := 0
	extra, err := eachMember(doc, func(key, v string) (err error) {
		switch key {
		case "id":
			has |= 1
			f.ID, err = asInt(v)
		case "name":
			has |= 2
			f.Name, err = asString(v)
		case "required":
			f.Required, err = asBool(v)
		case "type":
			has |= 4
			if strings.HasPrefix(v, "{") {
				f.Type = Type(v)
				return nil
			}
			var name string
			name, err = asString(v)
			f.Type = Type(name)
		case "doc":
			if v != "null" {
				f.Doc, err = asString(v)
			}
		default:
			return errCarry
		}
		return err
	})
	f.extra = extra
	if err == nil && has != 7 {
		err = fmt.Errorf("column %d %q lacks its id, name or type", f.ID, f.Name)
	}
	return f, err
}

// highestID returns the greatest column id in the schema, ids inside nested types included.
func (s *Schema) highestID() int {
	most := 0
	for _, f := range s.Fields {
		most = max(most, f.ID)
		if f.Type.Nested() {
			var nested any
			if json.Unmarshal([]byte(f.Type), &nested) == nil {
				most = max(most, highestNestedID(nested))
			}
		}
	}
	return most
}

func highestNestedID(v any) int {
	most := 0
	switch v := v.(type) {
	case map[string]any:
		for k, m := range v {
			if id, ok := m.(float64); ok && (k == "id" || strings.HasSuffix(k, "-id")) {
				most = max(most, int(id))
			}
			most = max(most, highestNestedID(m))
		}
	case []any:
		for _, e := range v {
			most = max(most, highestNestedID(e))
		}
	}
	return most
}

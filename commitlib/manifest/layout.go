package manifest

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/hamba/avro/v2"
)

// Parses counts the schemas that this process has parsed. A warm commit adds nothing to it.
var Parses atomic.Int64

// Hits counts the schemas that this process took from memory in place of parsing them.
var Hits atomic.Int64

// layout is a parsed schema in the form that values are read and written by: Avro's types, each field with its Iceberg
// field id, and unions only as "null or one type", which is all that the specification uses.
type layout struct {
	kind     avro.Type
	optional bool // a union with null
	null     int64
	value    int64 // the union's branches, where optional or wrapped
	wrapped  bool  // a union of one type

	id      int // field id; noID where the schema gives none
	fields  []*layout
	items   *layout // of an array, or of a map's values
	size    int     // of a fixed
	decimal bool    // a fixed or bytes that holds a decimal
	least   int     // the fewest bytes that a value takes
	steps   int     // how many parts a value has, arrays' items not counted
}

const (
	noID = -1

	// maxSteps bounds the parts of one value: a manifest entry has about 60, and a schema whose named types nest
	// twice at each level would have a number that is exponential in its text.
	maxSteps = 10_000

	// maxDepth bounds nesting, against a record that contains itself.
	maxDepth = 16
)

// parse is the one place where schema text is parsed.
func parse(text string) (*layout, error) {
	Parses.Add(1)
	// Names mean something else in every file: a cache of its own for each text, not the package's.
	schema, err := avro.ParseWithCache(text, "", &avro.SchemaCache{})
	if err != nil {
		return nil, fmt.Errorf("parse avro schema: %w", err)
	}
	l, err := layoutOf(schema, noID, maxDepth)
	if err != nil {
		return nil, fmt.Errorf("parse avro schema: %w", err)
	}
	if l.kind != avro.Record || l.least == 0 {
		return nil, errors.New("parse avro schema: want a record that is not empty")
	}
	return l, nil
}

func mustParse(text string) *layout {
	l, err := parse(text)
	if err != nil {
		panic(err) // a constant of this package
	}
	return l
}

func layoutOf(schema avro.Schema, id, depth int) (*layout, error) {
	if depth == 0 {
		return nil, fmt.Errorf("it nests deeper than %d", maxDepth)
	}
	l := &layout{kind: schema.Type(), id: id, steps: 1}
	var err error
	switch s := schema.(type) {
	case *avro.RefSchema:
		return layoutOf(s.Schema(), id, depth-1)
	case *avro.UnionSchema:
		return unionLayout(s, id, depth)
	case *avro.RecordSchema:
		for _, f := range s.Fields() {
			sub, err := layoutOf(f.Type(), fieldID(f.Prop("field-id")), depth-1)
			if err != nil {
				return nil, fmt.Errorf("field %q: %w", f.Name(), err)
			}
			l.fields = append(l.fields, sub)
			l.least += sub.least
			if l.steps += sub.steps; l.steps > maxSteps {
				return nil, fmt.Errorf("its values have more than %d parts", maxSteps)
			}
		}
	case *avro.ArraySchema:
		l.least = 1
		l.items, err = layoutOf(s.Items(), fieldID(s.Prop("element-id")), depth-1)
	case *avro.MapSchema:
		l.least = 1
		l.items, err = layoutOf(s.Values(), noID, depth-1)
	case *avro.FixedSchema:
		l.size, l.least = s.Size(), s.Size()
		l.decimal = s.Logical() != nil && s.Logical().Type() == avro.Decimal
	case *avro.EnumSchema:
		l.kind, l.least = avro.Int, 1
	case *avro.NullSchema:
	case *avro.PrimitiveSchema:
		l.decimal = s.Logical() != nil && s.Logical().Type() == avro.Decimal
		l.least = map[avro.Type]int{avro.Float: 4, avro.Double: 8, avro.Null: 0}[l.kind]
		if l.least == 0 && l.kind != avro.Null {
			l.least = 1
		}
	default:
		return nil, fmt.Errorf("it has a type %s, which the table format does not use", schema.Type())
	}
	if err == nil && l.items != nil && l.items.least == 0 {
		err = errors.New("it has an array whose items take no bytes")
	}
	if err == nil && l.size < 0 {
		err = errors.New("it has a fixed of negative size")
	}
	return l, err
}

func unionLayout(s *avro.UnionSchema, id, depth int) (*layout, error) {
	types := s.Types()
	null, value := -1, -1
	for i, t := range types {
		if t.Type() == avro.Null {
			null = i
		} else {
			value = i
		}
	}
	if value < 0 || len(types) > 2 || len(types) == 2 && null < 0 {
		return nil, errors.New("it has a union other than null and one type")
	}
	l, err := layoutOf(types[value], id, depth-1)
	if err != nil {
		return nil, err
	}
	if l.optional || l.wrapped {
		return nil, errors.New("it has a union inside a union")
	}
	c := *l
	c.value, c.optional, c.wrapped = int64(value), null >= 0, null < 0
	c.null = int64(null)
	c.least++
	if c.optional {
		c.least = 1
	}
	return &c, nil
}

// fieldID reads a schema property that should be a whole number.
func fieldID(prop any) int {
	if n, ok := prop.(float64); ok && n >= 0 && n == float64(int32(n)) {
		return int(n)
	}
	return noID
}

// field returns the field of a record with that id, or nil.
func (l *layout) field(id int) *layout {
	for _, f := range l.fields {
		if f.id == id {
			return f
		}
	}
	return nil
}

package manifest

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"firn/commitlib/iceberg"
)

// The Avro schemas of format version 2, by the specification's tables "Manifests" and "Manifest
// Lists". Record names are those that the reference implementation gives; some readers look for them.
// %s is the partition tuple's field list.
const (
	entrySchema = `{"type":"record","name":"manifest_entry","fields":[` +
		`{"name":"status","type":"int","field-id":0},` +
		`{"name":"snapshot_id","type":["null","long"],"default":null,"field-id":1},` +
		`{"name":"sequence_number","type":["null","long"],"default":null,"field-id":3},` +
		`{"name":"file_sequence_number","type":["null","long"],"default":null,"field-id":4},` +
		`{"name":"data_file","type":{"type":"record","name":"r2","fields":[` +
		`{"name":"content","type":"int","field-id":134},` +
		`{"name":"file_path","type":"string","field-id":100},` +
		`{"name":"file_format","type":"string","field-id":101},` +
		`{"name":"partition","type":{"type":"record","name":"r102","fields":[%s]},"field-id":102},` +
		`{"name":"record_count","type":"long","field-id":103},` +
		`{"name":"file_size_in_bytes","type":"long","field-id":104},` +
		`{"name":"column_sizes",` + mapOf + `"k117_v118","fields":[{"name":"key","type":"int","field-id":117},{"name":"value","type":"long","field-id":118}]}}],"default":null,"field-id":108},` +
		`{"name":"value_counts",` + mapOf + `"k119_v120","fields":[{"name":"key","type":"int","field-id":119},{"name":"value","type":"long","field-id":120}]}}],"default":null,"field-id":109},` +
		`{"name":"null_value_counts",` + mapOf + `"k121_v122","fields":[{"name":"key","type":"int","field-id":121},{"name":"value","type":"long","field-id":122}]}}],"default":null,"field-id":110},` +
		`{"name":"nan_value_counts",` + mapOf + `"k138_v139","fields":[{"name":"key","type":"int","field-id":138},{"name":"value","type":"long","field-id":139}]}}],"default":null,"field-id":137},` +
		`{"name":"lower_bounds",` + mapOf + `"k126_v127","fields":[{"name":"key","type":"int","field-id":126},{"name":"value","type":"bytes","field-id":127}]}}],"default":null,"field-id":125},` +
		`{"name":"upper_bounds",` + mapOf + `"k129_v130","fields":[{"name":"key","type":"int","field-id":129},{"name":"value","type":"bytes","field-id":130}]}}],"default":null,"field-id":128},` +
		`{"name":"key_metadata","type":["null","bytes"],"default":null,"field-id":131},` +
		`{"name":"split_offsets","type":["null",{"type":"array","items":"long","element-id":133}],"default":null,"field-id":132},` +
		`{"name":"equality_ids","type":["null",{"type":"array","items":"int","element-id":136}],"default":null,"field-id":135},` +
		`{"name":"sort_order_id","type":["null","int"],"default":null,"field-id":140}` +
		`]},"field-id":2}]}`

	mapOf = `"type":["null",{"type":"array","logicalType":"map","items":{"type":"record","name":`

	listSchema = `{"type":"record","name":"manifest_file","fields":[` +
		`{"name":"manifest_path","type":"string","field-id":500},` +
		`{"name":"manifest_length","type":"long","field-id":501},` +
		`{"name":"partition_spec_id","type":"int","field-id":502},` +
		`{"name":"content","type":"int","field-id":517},` +
		`{"name":"sequence_number","type":"long","field-id":515},` +
		`{"name":"min_sequence_number","type":"long","field-id":516},` +
		`{"name":"added_snapshot_id","type":"long","field-id":503},` +
		`{"name":"added_files_count","type":"int","field-id":504},` +
		`{"name":"existing_files_count","type":"int","field-id":505},` +
		`{"name":"deleted_files_count","type":"int","field-id":506},` +
		`{"name":"added_rows_count","type":"long","field-id":512},` +
		`{"name":"existing_rows_count","type":"long","field-id":513},` +
		`{"name":"deleted_rows_count","type":"long","field-id":514},` +
		`{"name":"partitions","type":["null",{"type":"array","items":{"type":"record","name":"r508","fields":[` +
		`{"name":"contains_null","type":"boolean","field-id":509},` +
		`{"name":"contains_nan","type":["null","boolean"],"default":null,"field-id":518},` +
		`{"name":"lower_bound","type":["null","bytes"],"default":null,"field-id":510},` +
		`{"name":"upper_bound","type":["null","bytes"],"default":null,"field-id":511}` +
		`]},"element-id":508}],"default":null,"field-id":507},` +
		`{"name":"key_metadata","type":["null","bytes"],"default":null,"field-id":519}` +
		`]}`
)

// partitionType is the type of one partition field's values, with what names it in Avro.
type partitionType struct {
	id   int
	name string
	typ  iceberg.Type
}

// partitionTypes derives the tuple type of a spec over a schema. A field whose column the schema no longer has can only
// be void, and is laid out as an int that is always null.
func partitionTypes(schema *iceberg.Schema, spec iceberg.PartitionSpec) ([]partitionType, error) {
	types := make([]partitionType, len(spec.Fields))
	for i, f := range spec.Fields {
		types[i] = partitionType{id: f.FieldID, name: f.Name, typ: iceberg.Int}
		column, ok := schema.FieldByID(f.SourceID)
		if !ok {
			if f.Transform == iceberg.TransformVoid {
				continue
			}
			return nil, fmt.Errorf("partition field %q: schema %d has no column %d", f.Name, schema.ID, f.SourceID)
		}
		t, err := iceberg.ResultType(f.Transform, column.Type)
		if err != nil {
			return nil, fmt.Errorf("partition field %q: %w", f.Name, err)
		}
		types[i].typ = t
	}
	return types, nil
}

// signature tells partition types apart: equal signatures have equal schema texts.
func signature(types []partitionType) string {
	var b strings.Builder
	for _, t := range types {
		fmt.Fprintf(&b, "%d %q %s;", t.id, t.name, t.typ)
	}
	return b.String()
}

// entrySchemaFor is the schema text of a manifest over the partition types.
func entrySchemaFor(types []partitionType) (string, error) {
	var b strings.Builder
	named := map[string]bool{}
	for i, t := range types {
		if i > 0 {
			b.WriteByte(',')
		}
		avroType, err := avroTypeOf(t.typ, named)
		if err != nil {
			return "", fmt.Errorf("partition field %q: %w", t.name, err)
		}
		name := avroName(t.name)
		fmt.Fprintf(&b, `{"name":"%s","type":["null",%s],"default":null,"field-id":%d`, name, avroType, t.id)
		if name != t.name {
			original, _ := json.Marshal(t.name) // a string cannot fail
			fmt.Fprintf(&b, `,"iceberg-field-name":%s`, original)
		}
		b.WriteByte('}')
	}
	return fmt.Sprintf(entrySchema, b.String()), nil
}

// avroTypeOf is the specification's table "Avro" of Appendix A. named holds the named types that the text has
// defined already: Avro wants each defined once and named afterwards.
func avroTypeOf(t iceberg.Type, named map[string]bool) (string, error) {
	define := func(name, rest string) string {
		if named[name] {
			return `"` + name + `"`
		}
		named[name] = true
		return `{"type":"fixed","name":"` + name + `",` + rest + `}`
	}
	switch t {
	case iceberg.Boolean, iceberg.Int, iceberg.Long, iceberg.Float, iceberg.Double, iceberg.String:
		return `"` + string(t) + `"`, nil
	case iceberg.Binary:
		return `"bytes"`, nil
	case iceberg.Date:
		return `{"type":"int","logicalType":"date"}`, nil
	case iceberg.Time:
		return `{"type":"long","logicalType":"time-micros"}`, nil
	case iceberg.Timestamp:
		return `{"type":"long","logicalType":"timestamp-micros","adjust-to-utc":false}`, nil
	case iceberg.TimestampTZ:
		return `{"type":"long","logicalType":"timestamp-micros","adjust-to-utc":true}`, nil
	case iceberg.TimestampNS:
		return `{"type":"long","logicalType":"timestamp-nanos","adjust-to-utc":false}`, nil
	case iceberg.TimestampTZNS:
		return `{"type":"long","logicalType":"timestamp-nanos","adjust-to-utc":true}`, nil
	case iceberg.UUID:
		return define("uuid_fixed", `"size":16,"logicalType":"uuid"`), nil
	}
	if n, ok := t.Fixed(); ok {
		return define("fixed_"+strconv.Itoa(n), `"size":`+strconv.Itoa(n)), nil
	}
	if precision, scale, ok := t.Decimal(); ok {
		return define(fmt.Sprintf("decimal_%d_%d", precision, scale),
			fmt.Sprintf(`"size":%d,"logicalType":"decimal","precision":%d,"scale":%d`, decimalSize(precision), precision, scale)), nil
	}
	return "", fmt.Errorf("type %q is not one that a partition value can have", t)
}

// decimalSize is the fewest bytes of two's complement that hold every decimal of the precision.
func decimalSize(precision int) int {
	bits := float64(precision)*math.Log2(10) + 1 // and the sign
	return int(math.Ceil(bits / 8))
}

// avroName makes a name that Avro allows of a partition field's, as the reference implementation does.
func avroName(name string) string {
	var b strings.Builder
	for i, r := range name {
		switch {
		case r == '_' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || i > 0 && '0' <= r && r <= '9':
			b.WriteRune(r)
		case '0' <= r && r <= '9':
			b.WriteRune('_')
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, "_x%X", r)
		}
	}
	return b.String()
}

package datafile

import (
	"fmt"

	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"firn/commitlib/column"
	"firn/commitlib/iceberg"
)

// physical is the Parquet form of a column of that kind.
func physical(k column.Kind) format.Type {
	switch k {
	case column.Int32:
		return format.Int32
	case column.Int64:
		return format.Int64
	}
	return format.ByteArray
}

// elements is the Parquet schema of an Iceberg one (spec: "Appendix A: Format-specific Requirements, Parquet"): a
// root and a leaf for each column, with its field id. Converted types repeat the logical ones for older readers.
func elements(s *iceberg.Schema) ([]format.SchemaElement, error) {
	root := format.SchemaElement{Name: "table", NumChildren: thrift.New(int32(len(s.Fields)))}
	all := append(make([]format.SchemaElement, 0, 1+len(s.Fields)), root)
	ids := map[int]bool{}
	for _, f := range s.Fields {
		kind, err := column.KindOf(f.Type)
		if err != nil {
			return nil, fmt.Errorf("column %q: %w", f.Name, err)
		}
		if f.ID <= 0 || ids[f.ID] {
			return nil, fmt.Errorf("column %q: field id %d is taken or not positive", f.Name, f.ID)
		}
		ids[f.ID] = true
		e := format.SchemaElement{
			Type:           thrift.New(physical(kind)),
			RepetitionType: thrift.New(format.Optional),
			Name:           f.Name,
			FieldID:        int32(f.ID),
		}
		if f.Required {
			e.RepetitionType.V = format.Required
		}
		switch f.Type {
		case iceberg.String:
			e.LogicalType.Value = new(format.StringType)
			e.ConvertedType.Set(deprecated.UTF8)
		case iceberg.TimestampTZ:
			e.LogicalType.Value = &format.TimestampType{IsAdjustedToUTC: true, Unit: format.TimeUnit{Value: new(format.MicroSeconds)}}
			e.ConvertedType.Set(deprecated.TimestampMicros)
		}
		all = append(all, e)
	}
	return all, nil
}

package iceberg

import (
	"fmt"
	"slices"
	"strings"
)

// PartitionField derives one partition value from a column (spec: "Partitioning").
type PartitionField struct {
	SourceID  int
	FieldID   int // from FirstPartitionFieldID up
	Name      string
	Transform string // "identity", "hour", "day", "month", "year", "void", "bucket[16]", …

	extra extras
}

// PartitionSpec is one version of a table's hidden partitioning.
type PartitionSpec struct {
	ID     int
	Fields []PartitionField

	extra extras
}

// FirstPartitionFieldID is the lowest id that the specification allows for a partition field.
const FirstPartitionFieldID = 1000

// The words of a table's partitioning setting: at most one unit of time, and EachPartition beside it.
const (
	PartitionNone  = "none"
	PartitionHour  = "hour"
	PartitionDay   = "day"
	PartitionMonth = "month"
	EachPartition  = "partition"
)

// EventSpec is the spec of an events table for the words of its partitioning setting. Without a unit of time among
// them it is PartitionHour; PartitionNone means no partition field for the time.
//
// An identity field bears its column's name, the one name that the specification lets a partition field share with a
// column, and the one that engines show in their listings.
func EventSpec(partitionBy []string) (PartitionSpec, error) {
	unit, lane := "", false
	for _, word := range partitionBy {
		switch {
		case word == EachPartition && !lane:
			lane = true
		case slices.Contains([]string{PartitionNone, PartitionHour, PartitionDay, PartitionMonth}, word) && unit == "":
			unit = word
		default:
			return PartitionSpec{}, fmt.Errorf("partition by %s: want one of none, hour, day, month, and partition at most once beside it",
				strings.Join(partitionBy, ", "))
		}
	}
	if unit == "" {
		unit = PartitionHour
	}
	spec := PartitionSpec{Fields: []PartitionField{}}
	add := func(source int, name, transform string) {
		spec.Fields = append(spec.Fields, PartitionField{
			SourceID: source, FieldID: FirstPartitionFieldID + len(spec.Fields), Name: name, Transform: transform,
		})
	}
	if unit != PartitionNone {
		add(FieldEventTime, "event_time_"+unit, unit)
	}
	if lane {
		add(FieldPartition, "partition", TransformIdentity)
	}
	return spec, nil
}

// lastFieldID is the greatest field id of the spec; one below the first allowed where it has no fields.
func (s PartitionSpec) lastFieldID() int {
	last := FirstPartitionFieldID - 1
	for _, f := range s.Fields {
		last = max(last, f.FieldID)
	}
	return last
}

// MarshalJSON writes the spec as table metadata holds it.
func (s PartitionSpec) MarshalJSON() ([]byte, error) { return s.appendJSON(nil), nil }

// UnmarshalJSON reads a spec.
func (s *PartitionSpec) UnmarshalJSON(b []byte) error {
	got, err := parseSpec(string(b))
	if err == nil {
		*s = got
	}
	return err
}

// FieldsJSON is the array of the spec's fields alone, the form that a manifest's header holds.
func (s PartitionSpec) FieldsJSON() []byte { return appendArray(nil, s.Fields, appendPartitionField) }

// ParsePartitionFields reads the form that FieldsJSON writes. Fields without an id, as format version 1 has them, are
// numbered from FirstPartitionFieldID up.
func ParsePartitionFields(b []byte) ([]PartitionField, error) {
	doc, err := validText(b)
	if err != nil {
		return nil, err
	}
	return parsePartitionFields(doc)
}

func (s PartitionSpec) appendJSON(dst []byte) []byte {
	dst = appendInt(dst, `{"spec-id":`, int64(s.ID))
	dst = append(dst, `,"fields":`...)
	dst = appendArray(dst, s.Fields, appendPartitionField)
	return s.extra.appendTo(dst)
}

func appendPartitionField(dst []byte, f PartitionField) []byte {
	dst = appendInt(dst, `{"source-id":`, int64(f.SourceID))
	dst = appendInt(dst, `,"field-id":`, int64(f.FieldID))
	dst = appendString(append(dst, `,"name":`...), f.Name)
	dst = appendString(append(dst, `,"transform":`...), f.Transform)
	return f.extra.appendTo(dst)
}

func parseSpec(doc string) (PartitionSpec, error) {
	var s PartitionSpec
	extra, err := eachMember(doc, func(key, v string) (err error) {
		switch key {
		case "spec-id":
			s.ID, err = asInt(v)
		case "fields":
			s.Fields, err = parsePartitionFields(v)
		default:
			return errCarry
		}
		return err
	})
	s.extra = extra
	if err == nil && s.Fields == nil {
		err = fmt.Errorf("it has no fields member")
	}
	if err != nil {
		return s, fmt.Errorf("read partition spec %d: %w", s.ID, err)
	}
	return s, nil
}

func parsePartitionFields(doc string) ([]PartitionField, error) {
	fields := []PartitionField{}
	err := eachElement(doc, func(v string) error {
		f := PartitionField{FieldID: FirstPartitionFieldID + len(fields)}
		extra, err := eachMember(v, func(key, v string) (err error) {
			switch key {
			case "source-id":
				f.SourceID, err = asInt(v)
			case "field-id":
				f.FieldID, err = asInt(v)
			case "name":
				f.Name, err = asString(v)
			case "transform":
				f.Transform, err = asString(v)
			default:
				return errCarry
			}
			return err
		})
		f.extra = extra
		if err == nil && (f.Name == "" || f.Transform == "") {
			err = fmt.Errorf("partition field %d lacks its name or transform", f.FieldID)
		}
		fields = append(fields, f)
		return err
	})
	return fields, err
}

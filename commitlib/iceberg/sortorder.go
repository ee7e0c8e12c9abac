package iceberg

import "fmt"

// SortField and SortOrder as in the spec's "Sorting".
type SortField struct {
	Transform string
	SourceID  int
	Direction string
	NullOrder string

	extra extras
}

// SortOrder is one version of a table's declared order; id 0 is unsorted.
type SortOrder struct {
	ID     int
	Fields []SortField

	extra extras
}

// MarshalJSON writes the sort order as table metadata holds it.
func (o SortOrder) MarshalJSON() ([]byte, error) { return o.appendJSON(nil), nil }

// UnmarshalJSON reads a sort order.
func (o *SortOrder) UnmarshalJSON(b []byte) error {
	got, err := parseSortOrder(string(b))
	if err == nil {
		*o = got
	}
	return err
}

func (o SortOrder) appendJSON(dst []byte) []byte {
	dst = appendInt(dst, `{"order-id":`, int64(o.ID))
	dst = append(dst, `,"fields":`...)
	dst = appendArray(dst, o.Fields, func(dst []byte, f SortField) []byte {
		dst = appendString(append(dst, `{"transform":`...), f.Transform)
		dst = appendInt(dst, `,"source-id":`, int64(f.SourceID))
		dst = appendString(append(dst, `,"direction":`...), f.Direction)
		dst = appendString(append(dst, `,"null-order":`...), f.NullOrder)
		return f.extra.appendTo(dst)
	})
	return o.extra.appendTo(dst)
}

func parseSortOrder(doc string) (SortOrder, error) {
	o := SortOrder{Fields: []SortField{}}
	extra, err := eachMember(doc, func(key, v string) (err error) {
		switch key {
		case "order-id":
			o.ID, err = asInt(v)
		case "fields":
			return eachElement(v, func(v string) error {
				f, err := parseSortField(v)
				o.Fields = append(o.Fields, f)
				return err
			})
		default:
			return errCarry
		}
		return err
	})
	o.extra = extra
	if err != nil {
		return o, fmt.Errorf("read sort order %d: %w", o.ID, err)
	}
	return o, nil
}

func parseSortField(doc string) (SortField, error) {
	var f SortField
	extra, err := eachMember(doc, func(key, v string) (err error) {
		switch key {
		case "transform":
			f.Transform, err = asString(v)
		case "source-id":
			f.SourceID, err = asInt(v)
		case "direction":
			f.Direction, err = asString(v)
		case "null-order":
			f.NullOrder, err = asString(v)
		default:
			return errCarry
		}
		return err
	})
	f.extra = extra
	return f, err
}

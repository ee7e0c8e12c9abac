package iceberg

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// PartitionPath is the folder of a partition tuple, named as other engines name it:
// "event_time_hour=2026-11-23-06/partition=3". It is for people who list the store: no reader derives
// values from it, so a value that cannot be decoded appears as hexadecimal. values follow spec.Fields;
// the path of an unpartitioned spec is "".
func PartitionPath(spec PartitionSpec, schema *Schema, values [][]byte) string {
	var b strings.Builder
	for i, f := range spec.Fields {
		if i > 0 {
			b.WriteByte('/')
		}
		b.WriteString(url.QueryEscape(f.Name))
		b.WriteByte('=')
		if i >= len(values) || values[i] == nil {
			b.WriteString("null")
			continue
		}
		src, _ := schema.FieldByID(f.SourceID)
		text, err := partitionText(f.Transform, src.Type, values[i])
		if err != nil {
			text = hex.EncodeToString(values[i])
		}
		b.WriteString(url.QueryEscape(text))
	}
	return b.String()
}

func partitionText(transform string, src Type, v []byte) (string, error) {
	switch transform {
	case TransformHour, TransformDay, TransformMonth, TransformYear:
		n, err := DecodeInt(v)
		return timeText(transform, int64(n)), err
	}
	t, err := ResultType(transform, src)
	if err != nil {
		return "", err
	}
	return valueText(t, v)
}

// timeText prints a time transform's value as the date, and hour, that it stands for.
func timeText(transform string, n int64) string {
	day := func(n int64) string {
		d := time.Unix(n*86400, 0).UTC()
		return fmt.Sprintf("%04d-%02d-%02d", d.Year(), d.Month(), d.Day())
	}
	switch transform {
	case TransformHour:
		days := floorDiv(n, 24)
		return fmt.Sprintf("%s-%02d", day(days), n-24*days)
	case TransformDay:
		return day(n)
	case TransformMonth:
		years := floorDiv(n, 12)
		return fmt.Sprintf("%04d-%02d", 1970+years, n-12*years+1)
	}
	return fmt.Sprintf("%04d", 1970+n)
}

// valueText prints a single value for people.
func valueText(t Type, v []byte) (string, error) {
	switch t {
	case String:
		return string(v), nil
	case Date:
		n, err := DecodeInt(v)
		return timeText(TransformDay, int64(n)), err
	case Timestamp, TimestampTZ:
		n, err := DecodeLong(v)
		text := time.UnixMicro(n).UTC().Format("2006-01-02T15:04:05.999999")
		if t == TimestampTZ {
			text += "+00:00"
		}
		return text, err
	case UUID:
		id, err := uuid.FromBytes(v)
		return id.String(), err
	}
	switch t.physical() {
	case physicalBool:
		b, err := DecodeBool(v)
		return strconv.FormatBool(b), err
	case physicalInt, physicalLong:
		n, err := DecodeLong(v)
		return strconv.FormatInt(n, 10), err
	case physicalFloat, physicalDouble:
		f, err := DecodeDouble(v)
		return strconv.FormatFloat(f, 'g', -1, 64), err
	case physicalDecimal:
		_, scale, _ := t.Decimal()
		return decimalText(v, scale), nil
	}
	return base64.StdEncoding.EncodeToString(v), nil
}

func decimalText(v []byte, scale int) string {
	n := decimalOf(v)
	digits := n.Text(10)
	sign := ""
	if n.Sign() < 0 {
		sign, digits = "-", digits[1:]
	}
	if len(digits) <= scale {
		digits = strings.Repeat("0", scale-len(digits)+1) + digits
	}
	if scale == 0 {
		return sign + digits
	}
	return sign + digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
}

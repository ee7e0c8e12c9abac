package iceberg

import (
	"strconv"
	"strings"
)

// The primitive types of other engines' tables. Firn carries their values; it does not write columns of them.
const (
	Boolean       Type = "boolean"
	Float         Type = "float"
	Double        Type = "double"
	Date          Type = "date"      // days since the Unix epoch
	Time          Type = "time"      // microseconds since midnight
	Timestamp     Type = "timestamp" // microseconds, without a zone
	TimestampNS   Type = "timestamp_ns"
	TimestampTZNS Type = "timestamptz_ns"
	UUID          Type = "uuid"
)

// Decimal returns precision and scale where the type is a decimal.
func (t Type) Decimal() (precision, scale int, ok bool) {
	args, ok := t.args("decimal(", ")")
	if !ok {
		return 0, 0, false
	}
	p, s, ok := strings.Cut(args, ",")
	if !ok {
		return 0, 0, false
	}
	precision, err1 := strconv.Atoi(strings.TrimSpace(p))
	scale, err2 := strconv.Atoi(strings.TrimSpace(s))
	return precision, scale, err1 == nil && err2 == nil && precision > 0 && precision <= 38 && scale >= 0
}

// Fixed returns the length in bytes where the type is fixed.
func (t Type) Fixed() (length int, ok bool) {
	args, ok := t.args("fixed[", "]")
	if !ok {
		return 0, false
	}
	length, err := strconv.Atoi(args)
	return length, err == nil && length >= 0
}

func (t Type) args(prefix, suffix string) (string, bool) {
	s, ok := strings.CutPrefix(string(t), prefix)
	if !ok {
		return "", false
	}
	return strings.CutSuffix(s, suffix)
}

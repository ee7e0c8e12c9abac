package iceberg

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// The transforms that Firn applies (spec: "Partition Transforms"). Others are carried.
const (
	TransformIdentity = "identity"
	TransformYear     = "year"
	TransformMonth    = "month"
	TransformDay      = "day"
	TransformHour     = "hour"
	TransformVoid     = "void"
)

const (
	microsPerHour = 3600 * 1_000_000
	microsPerDay  = 24 * microsPerHour
)

// HourOf is the hour transform: whole hours since the epoch, rounded down, also before it. Times beyond the range of
// the specification's int stay at its end.
func HourOf(micros int64) int32 {
	return int32(min(max(floorDiv(micros, microsPerHour), math.MinInt32), math.MaxInt32))
}

// DayOf is the day transform: whole days since the epoch, rounded down, also before it.
func DayOf(micros int64) int32 { return int32(floorDiv(micros, microsPerDay)) }

// MonthOf is the month transform: months since January 1970.
func MonthOf(micros int64) int32 {
	year, month := yearAndMonth(micros)
	return int32((year-1970)*12 + month)
}

// YearOf is the year transform: years since 1970.
func YearOf(micros int64) int32 {
	year, _ := yearAndMonth(micros)
	return int32(year - 1970)
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// yearAndMonth returns the year and the month from 0, in the proleptic Gregorian calendar.
func yearAndMonth(micros int64) (year, month int64) {
	day := time.Unix(floorDiv(micros, microsPerDay)*86400, 0).UTC()
	return int64(day.Year()), int64(day.Month()) - 1
}

// ResultType is the type of a transform's values. A transform that Firn does not know is an error: its values cannot
// be laid out without knowing their type.
func ResultType(transform string, src Type) (Type, error) {
	if src.Nested() {
		return "", fmt.Errorf("transform %s: a nested column cannot be a partition source", transform)
	}
	switch transform {
	case TransformIdentity, TransformVoid:
		return src, nil
	case TransformDay:
		if src.timelike() {
			return Date, nil
		}
	case TransformYear, TransformMonth:
		if src.timelike() {
			return Int, nil
		}
	case TransformHour:
		if src.timelike() && src != Date {
			return Int, nil
		}
	default:
		if strings.HasPrefix(transform, "bucket[") {
			return Int, nil
		}
		if strings.HasPrefix(transform, "truncate[") {
			return src, nil
		}
		return "", fmt.Errorf("transform %q is not one that Firn knows", transform)
	}
	return "", fmt.Errorf("transform %s does not take a column of type %s", transform, src)
}

func (t Type) timelike() bool {
	switch t {
	case Date, Timestamp, TimestampTZ, TimestampNS, TimestampTZNS:
		return true
	}
	return false
}

// ApplyTransform derives the partition value of one column value: the plain form of what package datafile does with
// HourOf and its like on whole columns, and what that is tested against.
func ApplyTransform(transform string, src Type, v []byte) ([]byte, error) {
	if v == nil || transform == TransformVoid {
		return nil, nil
	}
	if transform == TransformIdentity {
		return v, nil
	}
	of := map[string]func(int64) int32{
		TransformYear: YearOf, TransformMonth: MonthOf, TransformDay: DayOf, TransformHour: HourOf,
	}[transform]
	if of == nil {
		return nil, fmt.Errorf("transform %q is not one that Firn applies", transform)
	}
	if _, err := ResultType(transform, src); err != nil {
		return nil, err
	}
	n, err := DecodeLong(v)
	if err != nil {
		return nil, fmt.Errorf("transform %s: %w", transform, err)
	}
	switch src {
	case Date:
		n *= microsPerDay
	case TimestampNS, TimestampTZNS:
		n = floorDiv(n, 1000)
	}
	return EncodeInt(of(n)), nil
}

package iceberg

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"
)

// interestingMicros are times at and around every boundary that rounding could get wrong, and random ones.
func interestingMicros(t *testing.T) []int64 {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	var list []int64
	for _, edge := range []int64{0, microsPerHour, microsPerDay, 31 * microsPerDay, 59 * microsPerDay, 365 * microsPerDay, 366 * microsPerDay,
		time.Date(2000, 2, 29, 0, 0, 0, 0, time.UTC).UnixMicro(), time.Date(1900, 3, 1, 0, 0, 0, 0, time.UTC).UnixMicro(),
		time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro(), time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC).UnixMicro()} {
		for d := int64(-2); d <= 2; d++ {
			list = append(list, edge+d, -edge+d)
		}
	}
	for range 20_000 {
		list = append(list, rng.Int64N(8_000*365*microsPerDay)-4_000*365*microsPerDay)
	}
	return list
}

// slowFloor is floor division as schools teach it.
func slowFloor(a, b int64) int32 {
	q, r := new(big.Int).DivMod(big.NewInt(a), big.NewInt(b), new(big.Int))
	if r.Sign() < 0 {
		panic("DivMod is Euclidean")
	}
	return int32(q.Int64())
}

// slowMonths counts months one at a time from the epoch.
func slowMonths(micros int64, first map[int]int64) int32 {
	n := int(float64(micros) / (30.436875 * microsPerDay)) // near; then step
	for monthStart(n, first) > micros {
		n--
	}
	for monthStart(n+1, first) <= micros {
		n++
	}
	return int32(n)
}

func monthStart(n int, cache map[int]int64) int64 {
	v, ok := cache[n]
	if !ok {
		v = time.Date(1970, time.Month(1+n), 1, 0, 0, 0, 0, time.UTC).UnixMicro()
		cache[n] = v
	}
	return v
}

func TestTimeTransformsAgreeWithASlowReference(t *testing.T) {
	starts := map[int]int64{}
	for _, micros := range interestingMicros(t) {
		months := slowMonths(micros, starts)
		f := func(name string, got, want int32) {
			if got != want {
				t.Fatalf("%s of %d µs (%s) is %d, want %d", name, micros, time.UnixMicro(micros).UTC(), got, want)
			}
		}
		f("hour", HourOf(micros), slowFloor(micros, 3_600_000_000))
		f("day", DayOf(micros), slowFloor(micros, 86_400_000_000))
		f("month", MonthOf(micros), months)
		f("year", YearOf(micros), slowFloor(int64(months), 12))
	}
}

func TestHourStaysInRange(t *testing.T) {
	f := func(micros int64, want int32) {
		t.Helper()
		if got := HourOf(micros); got != want {
			t.Errorf("hour of %d is %d, want %d", micros, got, want)
		}
	}
	f(math.MaxInt64, math.MaxInt32)
	f(math.MinInt64, math.MinInt32)
	f((math.MaxInt32+1)*microsPerHour-1, math.MaxInt32)
	f(math.MinInt32*microsPerHour, math.MinInt32)
}

func TestApplyTransform(t *testing.T) {
	minusOne := EncodeLong(-1)
	f := func(transform string, src Type, v, want []byte) {
		t.Helper()
		got, err := ApplyTransform(transform, src, v)
		if err != nil || string(got) != string(want) || (got == nil) != (want == nil) {
			t.Errorf("%s of %s %x is %x, %v, want %x", transform, src, v, got, err, want)
		}
	}
	f(TransformHour, TimestampTZ, minusOne, EncodeInt(-1))
	f(TransformDay, TimestampTZ, minusOne, EncodeInt(-1))
	f(TransformMonth, TimestampTZ, minusOne, EncodeInt(-1))
	f(TransformYear, TimestampTZ, minusOne, EncodeInt(-1))
	f(TransformDay, TimestampTZNS, EncodeLong(-1), EncodeInt(-1))
	f(TransformMonth, Date, EncodeInt(-1), EncodeInt(-1))
	f(TransformMonth, Date, EncodeInt(59), EncodeInt(2))
	f(TransformIdentity, Int, EncodeInt(7), EncodeInt(7))
	f(TransformVoid, String, []byte("x"), nil)
	f(TransformHour, TimestampTZ, nil, nil)
	g := func(transform string, src Type, v []byte) {
		t.Helper()
		if got, err := ApplyTransform(transform, src, v); err == nil {
			t.Errorf("%s of %s %x is %x, want an error", transform, src, v, got)
		}
	}
	g(TransformHour, TimestampTZ, []byte{1, 2, 3})
	g(TransformHour, String, []byte("12345678"))
	g("bucket[16]", Int, EncodeInt(1))
}

func TestResultType(t *testing.T) {
	f := func(transform string, src, want Type) {
		t.Helper()
		got, err := ResultType(transform, src)
		if err != nil && want != "" || err == nil && got != want {
			t.Errorf("%s of %s is %q, %v, want %q", transform, src, got, err, want)
		}
	}
	f(TransformHour, TimestampTZ, Int)
	f(TransformDay, TimestampTZ, Date)
	f(TransformMonth, Date, Int)
	f(TransformYear, Timestamp, Int)
	f(TransformIdentity, "decimal(9,2)", "decimal(9,2)")
	f(TransformVoid, Long, Long)
	f("bucket[16]", String, Int)
	f("truncate[4]", String, String)
	f(TransformHour, Date, "")
	f(TransformDay, String, "")
	f("zorder", Int, "")
	f(TransformIdentity, `{"type":"struct","fields":[]}`, "")
}

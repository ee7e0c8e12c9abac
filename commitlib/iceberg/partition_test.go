package iceberg

import (
	"strings"
	"testing"
	"time"
)

func TestEventSpec(t *testing.T) {
	f := func(words, want string) {
		t.Helper()
		spec, err := EventSpec(strings.Fields(words))
		got := string(spec.FieldsJSON())
		if err != nil {
			got = "refused"
		}
		if got != want {
			t.Errorf("spec for %q is %s (%v), want %s", words, got, err, want)
		}
	}
	lane := func(id string) string {
		return `{"source-id":3,"field-id":` + id + `,"name":"partition","transform":"identity"}`
	}
	hour := `{"source-id":4,"field-id":1000,"name":"event_time_hour","transform":"hour"}`
	f("", "["+hour+"]")
	f("hour", "["+hour+"]")
	f("partition", "["+hour+","+lane("1001")+"]")
	f("partition hour", "["+hour+","+lane("1001")+"]")
	f("none", "[]")
	f("none partition", "["+lane("1000")+"]")
	f("day", `[{"source-id":4,"field-id":1000,"name":"event_time_day","transform":"day"}]`)
	f("month", `[{"source-id":4,"field-id":1000,"name":"event_time_month","transform":"month"}]`)
	f("hour day", "refused")
	f("none hour", "refused")
	f("partition partition", "refused")
	f("hourly", "refused")
}

func TestPartitionPath(t *testing.T) {
	schema := &Schema{Fields: []Field{
		{ID: 1, Name: "ts", Type: TimestampTZ}, {ID: 2, Name: "n", Type: Int}, {ID: 3, Name: "s", Type: String},
		{ID: 4, Name: "d", Type: Date}, {ID: 5, Name: "m", Type: "decimal(9,2)"}, {ID: 6, Name: "b", Type: Binary},
	}}
	f := func(source int, name, transform string, v []byte, want string) {
		t.Helper()
		spec := PartitionSpec{Fields: []PartitionField{{SourceID: source, FieldID: 1000, Name: name, Transform: transform}}}
		if got := PartitionPath(spec, schema, [][]byte{v}); got != want {
			t.Errorf("path is %q, want %q", got, want)
		}
	}
	noon := time.Date(2026, 11, 23, 6, 59, 0, 0, time.UTC).UnixMicro()
	f(1, "event_time_hour", TransformHour, EncodeInt(HourOf(noon)), "event_time_hour=2026-11-23-06")
	f(1, "event_time_day", TransformDay, EncodeInt(DayOf(noon)), "event_time_day=2026-11-23")
	f(1, "event_time_month", TransformMonth, EncodeInt(MonthOf(noon)), "event_time_month=2026-11")
	f(1, "event_time_year", TransformYear, EncodeInt(YearOf(noon)), "event_time_year=2026")
	f(1, "h", TransformHour, EncodeInt(-1), "h=1969-12-31-23")
	f(1, "m", TransformMonth, EncodeInt(-1), "m=1969-12")
	f(1, "t", TransformIdentity, EncodeLong(noon), "t=2026-11-23T06%3A59%3A00%2B00%3A00")
	f(2, "partition", TransformIdentity, EncodeInt(-3), "partition=-3")
	f(2, "partition", TransformIdentity, nil, "partition=null")
	f(2, "partition", TransformIdentity, []byte{1}, "partition=01")
	f(3, "a b", TransformIdentity, []byte("x/y=ü"), "a+b=x%2Fy%3D%C3%BC")
	f(4, "d", TransformIdentity, EncodeInt(20_000), "d=2024-10-04")
	f(5, "m", TransformIdentity, []byte{0xff, 0x85}, "m=-1.23")
	f(5, "m", TransformIdentity, []byte{0x05}, "m=0.05")
	f(6, "b", TransformIdentity, []byte{0xff, 0}, "b=%2FwA%3D")

	spec, err := EventSpec([]string{"hour", "partition"})
	if err != nil {
		t.Fatal(err)
	}
	got := PartitionPath(spec, EventSchema(String), [][]byte{EncodeInt(HourOf(noon)), EncodeInt(3)})
	if want := "event_time_hour=2026-11-23-06/partition=3"; got != want {
		t.Errorf("path is %q, want %q", got, want)
	}
	if got := PartitionPath(PartitionSpec{}, schema, nil); got != "" {
		t.Errorf("path of an unpartitioned spec is %q", got)
	}
}

package registry

import (
	"encoding/json"
	"testing"
)

// Whatever is in a record: it is refused, or gives a table that can be written and read again to the same effect.
func FuzzRecord(f *testing.F) {
	m := &memMeta{m: map[string][]byte{}}
	s := DefaultSettings()
	tab, err := decodeRecord("clicks", []byte(`{"version":1,"namespace":"default","uuid":"ca318f20-5853-438f-aa80-b8877966144f","location":"mem://w/default/clicks",
"schema":{"type":"struct","schema-id":0,"fields":[{"id":7,"name":"payload","required":true,"type":"string"}]},"spec":{"spec-id":0,"fields":[]},
"settings":{"payload":"text","partition_by":["hour"],"cut_interval":"10s","hot_retention":"0s","table_retention":"0s","target_file_bytes":134217728,"time_window_back":"400d","time_window_ahead":"1d"}}`))
	if err != nil {
		f.Fatal(err)
	}
	tab.Settings = s
	if err := writeRecord(m, tab); err != nil {
		f.Fatal(err)
	}
	f.Add(m.m[recordPrefix+"clicks"])
	f.Add([]byte(`{"version":1}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, value []byte) {
		tab, err := decodeRecord("clicks", value)
		if err != nil {
			return
		}
		m := &memMeta{m: map[string][]byte{}}
		if err := writeRecord(m, tab); err != nil {
			t.Fatal(err)
		}
		first := m.m[recordPrefix+"clicks"]
		again, err := decodeRecord("clicks", first)
		if err != nil {
			t.Fatalf("%s: %v", first, err)
		}
		if err := writeRecord(m, again); err != nil || string(m.m[recordPrefix+"clicks"]) != string(first) {
			t.Fatalf("%s became %s, %v", first, m.m[recordPrefix+"clicks"], err)
		}
	})
}

// Settings that Validate takes survive their JSON.
func FuzzSettings(f *testing.F) {
	f.Add([]byte(`{"cut_interval":"1s","partition_by":["day","partition"],"hot_retention":"36h"}`))
	f.Add([]byte(`{"time_window_back":"1ns","time_window_ahead":"73000d"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		s := DefaultSettings()
		if json.Unmarshal(body, &s) != nil || s.Validate() != nil {
			return
		}
		out, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		again := DefaultSettings()
		if err := json.Unmarshal(out, &again); err != nil {
			t.Fatal(err)
		}
		if twice, err := json.Marshal(again); err != nil || string(twice) != string(out) {
			t.Fatalf("%s became %s, %v", out, twice, err)
		}
	})
}

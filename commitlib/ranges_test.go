package commitlib

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/google/uuid"
)

// What we write is read without the decoder, and reads the same.
func TestRangesAreScanned(t *testing.T) {
	a, b := uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7())
	for _, r := range []Ranges{
		{}, {a: {{1, 1}}}, {a: {{1, 5}, {6, 9}}, b: {{10, 1 << 62}}}, {a: {}},
	} {
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := scanRanges(string(text))
		if !ok || !maps.EqualFunc(got, r, slices.Equal) {
			t.Errorf("%s: %v, %v", text, got, ok)
		}
	}
}

// FuzzScanRanges: what is scanned is what the decoder reads, and what the decoder refuses is not scanned.
func FuzzScanRanges(f *testing.F) {
	const log = "01935f5e-8000-7000-8000-000000000001"
	for _, text := range []string{
		``, `{}`, `{`, `{}x`, `null`, `{"` + log + `":[[1,2]]}`, `{"` + log + `":[[1,2],[3,4]]}`, `{"` + log + `":null}`, `{"` + log + `":[[1,2]]}}`,
		`{"` + log + `":[[01,2]]}`, `{"` + log + `":[[1,2]],"` + log + `":[[3,4]]}`, `{"` + log + `":[[1,2,3]]}`, `{"` + log + `":[[1]]}`, `{"` + log + `":[[1,-2]]}`,
		`{"` + log + `":[[1,18446744073709551616]]}`, `{"` + log + `":[ [1,2]]}`, `{"urn:uuid:` + log + `":[[1,2]]}`, `{"` + log + `":[[1,2],]}`, `{,"` + log + `":[]}`,
		`{"x1935f5e-8000-7000-8000-00000000000x":[]}`, `{"{1935f5e-8000-7000-8000-0000000000}":[]}`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := scanRanges(text)
		if !ok {
			return
		}
		var want Ranges
		if err := decodeStrict([]byte(text), &want); err != nil {
			t.Fatalf("%q was scanned as %v; the decoder says: %v", text, got, err)
		}
		if !maps.EqualFunc(got, want, slices.Equal) {
			t.Errorf("%q was scanned as %v, decoded as %v", text, got, want)
		}
	})
}

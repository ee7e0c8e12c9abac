package iceberg

import (
	"encoding/json"
	"strings"
	"testing"
)

var jsonTexts = []string{
	``, ` `, `{`, `}`, `[`, `]`, `{}`, `[]`, ` { } `, ` [ ] `, `[1]`, `[1,]`, `[,1]`, `[1 2]`, `{"a":1}`, `{"a":1,}`, `{"a" : 1 , "b" : [ ] }`,
	`{"a"}`, `{"a":}`, `{a:1}`, `{1:1}`, `{"a":1 "b":2}`, `true`, `tru`, `truex`, `false`, `null`, `nul`, `nullnull`, `0`, `-0`, `00`, `01`, `-`, `-1`, `1.`,
	`.5`, `1.5`, `1e5`, `1E+5`, `1e-5`, `1e`, `1e+`, `+1`, `1x`, `""`, `"`, `"a`, `"\"`, `"\""`, `"\u12"`, `"\u12aF"`, `"\u12ag"`, `"\x"`, `"\/\b\f\n\r\t\\"`,
	"\"\n\"", "\"\x00\"", "\"\x7f\"", "\"\xff\xfe\"", "\"ü\"", "\v1", "\ufeff1", "1\x00", `[[[]]]`, `[[[]]`, `{"a":{"b":{"c":[1,{"d":null}]}}}`, `"\u`, `"\u00`, `"\`,
}

func TestCheckJSONAgreesWithTheStandardLibrary(t *testing.T) {
	deep := strings.Repeat("[", maxNesting)
	for _, text := range append(jsonTexts, deep, deep+strings.Repeat("]", maxNesting), "["+deep+strings.Repeat("]", maxNesting+1)) {
		if got, want := checkJSON(text) == nil, json.Valid([]byte(text)); got != want {
			t.Errorf("%.60q: %v, want %v", text, got, want)
		}
	}
}

func FuzzCheckJSON(f *testing.F) {
	for _, text := range jsonTexts {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got, want := checkJSON(text) == nil, json.Valid([]byte(text)); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	})
}

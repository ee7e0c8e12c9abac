package httpapi

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"firn/ingestd/event"
	"firn/ingestd/registry"
)

// settingNames are the members that a PUT's body may have.
func settingNames() []string {
	var names []string
	for _, f := range reflect.VisibleFields(reflect.TypeFor[registry.Settings]()) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}

// checkMembers checks that body is one JSON object whose members are among known, exactly so written, each at most once:
// encoding/json alone ignores case and takes the last of two.
func checkMembers(body []byte, known []string) error {
	if at := bytes.IndexFunc(body, func(r rune) bool { return r == utf8.RuneError }); !utf8.Valid(body) {
		return &fault{code: event.CodeInvalidUTF8, record: -1, byte: at, message: "the settings are not valid UTF-8", hint: "send UTF-8"}
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	bad := func(code, hint, message string) error {
		return &fault{code: code, record: -1, byte: int(dec.InputOffset()), message: message, hint: hint}
	}
	malformed := func(err error) error {
		return bad(event.CodeMalformedJSON, "send strict JSON (RFC 8259)", clip(err.Error()))
	}
	tok, err := dec.Token()
	if err != nil {
		return malformed(err)
	}
	if tok != json.Delim('{') {
		return bad(event.CodeWrongType, "send an object, such as {\"payload\":\"text\"}", "the body is not a JSON object")
	}
	var seen []string
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return malformed(err)
		}
		name, _ := tok.(string)
		switch {
		case !slices.Contains(known, name):
			return bad(event.CodeUnknownMember, "settings are "+strings.Join(known, ", "), "there is no setting "+clip(name))
		case slices.Contains(seen, name):
			return bad(event.CodeDuplicateMember, "give each setting once", name+" is there twice")
		}
		seen = append(seen, name)
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return malformed(err)
		}
	}
	if _, err := dec.Token(); err != nil {
		return malformed(err)
	}
	if rest := bytes.TrimSpace(body[dec.InputOffset():]); len(rest) > 0 {
		return bad(event.CodeMalformedJSON, "send one JSON object", "something follows the object")
	}
	return nil
}

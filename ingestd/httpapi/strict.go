package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"firn/ingestd/event"
)

// member is one setting that a PUT's body names.
type member struct {
	setting int    // index in settings
	value   []byte // JSON, well-formed
	at      int    // where the value begins in the body
}

// membersOf checks that body is one JSON object whose members are settings, exactly so written, each at most once:
// encoding/json alone ignores case and takes the last of two.
func membersOf(body []byte) ([]member, error) {
	if at := bytes.IndexFunc(body, func(r rune) bool { return r == utf8.RuneError }); !utf8.Valid(body) {
		return nil, &fault{code: event.CodeInvalidUTF8, record: -1, byte: at, message: "the settings are not valid UTF-8", hint: "send UTF-8"}
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber() // else one beyond a float64 is told in terms of Go's types
	bad := func(code, hint, message string) error {
		return &fault{code: code, record: -1, byte: int(dec.InputOffset()), message: message, hint: hint}
	}
	malformed := func(err error) error {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return &fault{code: event.CodeTruncatedJSON, record: -1, byte: len(body), message: "the settings end too early", hint: "send the whole object"}
		}
		return bad(event.CodeMalformedJSON, "send strict JSON (RFC 8259)", "the settings are not JSON: "+clip(err.Error()))
	}
	names := make([]string, len(settings))
	for i := range settings {
		names[i] = settings[i].name
	}
	var members []member
	tok, err := dec.Token()
	if err != nil {
		return nil, malformed(err)
	}
	if tok != json.Delim('{') {
		return nil, bad(event.CodeWrongType, "send an object, such as {\"payload\":\"text\"}", "the body is not a JSON object")
	}
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return nil, malformed(err)
		}
		name, _ := tok.(string)
		i := slices.Index(names, name)
		switch {
		case i < 0:
			return nil, bad(event.CodeUnknownMember, "settings are "+strings.Join(names, ", "), "there is no setting "+clip(name))
		case slices.ContainsFunc(members, func(m member) bool { return m.setting == i }):
			return nil, bad(event.CodeDuplicateMember, "give each setting once", name+" is there twice")
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, malformed(err)
		}
		members = append(members, member{i, value, int(dec.InputOffset()) - len(value)})
	}
	if _, err := dec.Token(); err != nil {
		return nil, malformed(err)
	}
	if rest := bytes.TrimSpace(body[dec.InputOffset():]); len(rest) > 0 {
		return nil, bad(event.CodeMalformedJSON, "send one JSON object", "something follows the object")
	}
	return members, nil
}

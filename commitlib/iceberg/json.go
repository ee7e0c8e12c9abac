package iceberg

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// The walkers in this file expect text that checkJSON accepted. They cut it into substrings and copy nothing, so that
// metadata of many snapshots is read in a few milliseconds and what is not understood is carried as it was.

// extras holds the members of a JSON object that its struct does not name, comma-separated, as they were read.
// It is text and not a map so that the structs that hold it stay comparable and free to copy.
type extras string

// errCarry is what a function given to eachMember returns for a member that it does not know.
var errCarry = errors.New("carried, not read")

// appendTo writes the members and the closing brace of an object that has at least one member already.
func (x extras) appendTo(dst []byte) []byte {
	if x != "" {
		dst = append(dst, ',')
		dst = append(dst, x...)
	}
	return append(dst, '}')
}

func skipSpace(s string, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\n' || s[i] == '\t' || s[i] == '\r') {
		i++
	}
	return i
}

// skipString returns the index after the string that starts at s[i].
func skipString(s string, i int) int {
	for i++; i < len(s); {
		n := strings.IndexByte(s[i:], '"')
		if n < 0 {
			break
		}
		escape := strings.IndexByte(s[i:i+n], '\\')
		if escape < 0 {
			return i + n + 1
		}
		i += escape + 2
	}
	return len(s)
}

// skipValue returns the index after the value that starts at s[i].
func skipValue(s string, i int) int {
	switch s[i] {
	case '"':
		return skipString(s, i)
	case '{', '[':
		for depth := 0; i < len(s); {
			switch s[i] {
			case '"':
				i = skipString(s, i)
				continue
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
			i++
		}
		return i
	}
	for i < len(s) && !strings.ContainsRune(",]} \n\t\r", rune(s[i])) {
		i++
	}
	return i
}

// eachMember calls fn with every member of the object doc, in order, and returns those that fn left with errCarry.
func eachMember(doc string, fn func(key, value string) error) (extras, error) {
	i := skipSpace(doc, 0)
	if i == len(doc) || doc[i] != '{' {
		return "", fmt.Errorf("want a JSON object, have %s", excerpt(doc))
	}
	var carried []byte
	for i = skipSpace(doc, i+1); doc[i] != '}'; {
		quoted := doc[i:skipString(doc, i)]
		key, err := asString(quoted)
		if err != nil {
			return "", err
		}
		i = skipSpace(doc, i+len(quoted))
		i = skipSpace(doc, i+1) // the colon
		value := doc[i:skipValue(doc, i)]
		switch err := fn(key, value); {
		case err == errCarry:
			if carried != nil {
				carried = append(carried, ',')
			}
			carried = append(append(append(carried, quoted...), ':'), value...)
		case err != nil:
			return "", fmt.Errorf("member %q: %w", key, err)
		}
		if i = skipSpace(doc, i+len(value)); doc[i] == ',' {
			i = skipSpace(doc, i+1)
		}
	}
	return extras(carried), nil
}

// eachElement calls fn with every element of the array doc, in order.
func eachElement(doc string, fn func(value string) error) error {
	return eachElementGuessed(doc, func() string { return "" }, fn)
}

// eachElementGuessed is eachElement that is told what the next element probably is, so that it need not be searched for
// its end. A guess is JSON without space around it, or empty.
func eachElementGuessed(doc string, guess func() string, fn func(value string) error) error {
	i := skipSpace(doc, 0)
	if i == len(doc) || doc[i] != '[' {
		return fmt.Errorf("want a JSON array, have %s", excerpt(doc))
	}
	n := 0
	for i = skipSpace(doc, i+1); doc[i] != ']'; n++ {
		end := i
		if g := guess(); g != "" && strings.HasPrefix(doc[i:], g) {
			end += len(g)
		} else {
			end = skipValue(doc, i)
		}
		if err := fn(doc[i:end]); err != nil {
			return fmt.Errorf("element %d: %w", n, err)
		}
		if i = skipSpace(doc, end); doc[i] == ',' {
			i = skipSpace(doc, i+1)
		}
	}
	return nil
}

func asString(v string) (string, error) {
	if len(v) < 2 || v[0] != '"' {
		return "", fmt.Errorf("want a string, have %s", excerpt(v))
	}
	if plain(v[1 : len(v)-1]) {
		return v[1 : len(v)-1], nil
	}
	if s, ok := unescape(v[1 : len(v)-1]); ok {
		return s, nil
	}
	var s string
	if err := json.Unmarshal([]byte(v), &s); err != nil {
		return "", fmt.Errorf("read string: %w", err)
	}
	return s, nil
}

func asInt64(v string) (int64, error) {
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("want a whole number of 64 bits, have %s", excerpt(v))
	}
	return n, nil
}

// asInt reads the 32-bit ids of the specification.
func asInt(v string) (int, error) {
	n, err := strconv.ParseInt(v, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("want a whole number of 32 bits, have %s", excerpt(v))
	}
	return int(n), nil
}

// asID reads an optional snapshot id: null, and the -1 that some writers use, are 0, "none".
func asID(v string) (int64, error) {
	if v == "null" {
		return 0, nil
	}
	n, err := asInt64(v)
	if n == -1 {
		n = 0
	}
	return n, err
}

func asBool(v string) (bool, error) {
	switch v {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fmt.Errorf("want true or false, have %s", excerpt(v))
}

func asStringMap(v string) (map[string]string, error) {
	m := map[string]string{}
	if v == "null" {
		return m, nil
	}
	_, err := eachMember(v, func(key, value string) error {
		s, err := asString(value)
		m[key] = s
		return err
	})
	return m, err
}

// excerpt shortens a value for an error text.
func excerpt(v string) string {
	const most = 40 // bytes: enough to find the place, too few to flood a log line
	if len(v) > most {
		v = v[:most] + "…"
	}
	return strconv.Quote(v)
}

// plain says that s stands between quotes in JSON as it is.
func plain(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// unescape reads what stands between the quotes where no escape but that of a quote or a backslash is in it: JSON inside
// JSON, as our summaries have it. ok is false for anything else.
func unescape(s string) (string, bool) {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '\\' && i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\\') {
			i++
			c = s[i]
		} else if c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			return "", false
		}
		out = append(out, c)
	}
	return string(out), true
}

func appendString(dst []byte, s string) []byte {
	if plain(s) {
		dst = append(dst, '"')
		dst = append(dst, s...)
		return append(dst, '"')
	}
	b, _ := json.Marshal(s) // a string cannot fail
	return append(dst, b...)
}

func appendInt(dst []byte, key string, n int64) []byte {
	return strconv.AppendInt(append(dst, key...), n, 10)
}

// appendStringMap writes members in key order, so that equal maps give equal bytes.
func appendStringMap(dst []byte, m map[string]string) []byte {
	dst = append(dst, '{')
	for i, k := range sortedKeys(m) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendString(dst, k), ':')
		dst = appendString(dst, m[k])
	}
	return append(dst, '}')
}

// appendArray writes every element by fn.
func appendArray[T any](dst []byte, list []T, fn func([]byte, T) []byte) []byte {
	dst = append(dst, '[')
	for i, e := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = fn(dst, e)
	}
	return append(dst, ']')
}

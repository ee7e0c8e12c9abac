package registry

import (
	"fmt"
	"strings"
)

// maxNameBytes is what Glue, Athena and S3 Tables all take, with room for suffixes of theirs.
const maxNameBytes = 128

// NameError says why a table name is refused, and which one would do.
type NameError struct {
	Name       string // as given, shortened
	Reason     string
	Suggestion string // a good name near it; empty where there is none
}

func (e *NameError) Error() string {
	msg := fmt.Sprintf("bad table name %q: %s; names are a lower-case letter, then up to 127 lower-case letters, digits and underscores", e.Name, e.Reason)
	if e.Suggestion != "" {
		msg += fmt.Sprintf("; %q would do", e.Suggestion)
	}
	return msg
}

// CheckName refuses a name that is not ^[a-z][a-z0-9_]{0,127}$, with a *NameError.
func CheckName(name string) error {
	reason := ""
	switch {
	case name == "":
		reason = "it is empty"
	case len(name) > maxNameBytes:
		reason = fmt.Sprintf("it has %d bytes", len(name))
	case name[0] < 'a' || name[0] > 'z':
		reason = "its first character is not a lower-case letter"
	default:
		for i := range len(name) {
			if !nameByte(name[i]) {
				reason = fmt.Sprintf("character %q at byte %d", name[i], i)
				break
			}
		}
	}
	if reason == "" {
		return nil
	}
	shown := strings.ToValidUTF8(name, "�")
	if len(shown) > maxNameBytes {
		shown = strings.ToValidUTF8(shown[:maxNameBytes], "") + "…"
	}
	return &NameError{Name: shown, Reason: reason, Suggestion: suggest(name)}
}

func nameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_'
}

// suggest lowers letters, turns runs of anything else into one underscore and puts a letter in front where none is.
func suggest(name string) string {
	var b strings.Builder
	gap := false
	for i := 0; i < len(name) && b.Len() < maxNameBytes; i++ {
		c := name[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if !nameByte(c) {
			gap = b.Len() > 0
			continue
		}
		if gap {
			b.WriteByte('_')
			gap = false
		}
		b.WriteByte(c)
	}
	s := b.String()
	if s == "" || strings.Trim(s, "_") == "" {
		return ""
	}
	if s[0] < 'a' || s[0] > 'z' {
		s = "t_" + strings.TrimLeft(s, "_")
	}
	s = s[:min(len(s), maxNameBytes)]
	return s
}

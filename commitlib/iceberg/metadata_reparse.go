package iceberg

import (
	"fmt"
	"strings"
)

// ParseMetadataAfter is ParseMetadata for a state of a table of which an earlier one is at hand: snapshots that stand in
// data as they stood then are taken from before, and only new ones are read. A commit adds one to thousands. before may be
// nil; it stays as it is, and the two share what did not change.
func ParseMetadataAfter(data []byte, before *Metadata) (*Metadata, error) {
	if before == nil || len(before.Snapshots) == 0 {
		return ParseMetadata(data)
	}
	doc, err := validText(data)
	if err != nil {
		return nil, fmt.Errorf("read table metadata: %w", err)
	}
	p := newParser()
	return p.parse(doc, func(key, v string) error {
		switch {
		case key == "snapshots" && v != "null":
			p.has[key] = true
			p.m.Snapshots, err = snapshotsAfter(v, before.Snapshots)
			return err
		case key == "snapshot-log": // numbers alone
			return p.member(key, v)
		}
		// What is kept must not keep doc: each state would hold on to the text of all before it.
		return p.member(key, strings.Clone(v))
	})
}

// snapshotsAfter reads a list of snapshots, those in known from there. They keep their order, and new ones follow them;
// in any other order they are only read anew.
func snapshotsAfter(doc string, known []*Snapshot) ([]*Snapshot, error) {
	list := make([]*Snapshot, 0, len(known)+1)
	guess := func() string {
		if len(known) == 0 || known[0].textOf != known[0] {
			return ""
		}
		return known[0].text
	}
	err := eachElementGuessed(doc, guess, func(v string) error {
		for len(known) > 0 {
			s := known[0]
			known = known[1:]
			if s.textOf == s && s.text == v {
				list = append(list, s)
				return nil
			}
		}
		s, err := parseSnapshot(strings.Clone(v))
		list = append(list, s)
		return err
	})
	return list, err
}

package event

import "strings"

// Headers are what a producer says about a request's events beside the body; empty where it says nothing.
type Headers struct {
	Partition   string // X-Partition
	TimestampMs string // X-Timestamp-Ms
}

// Override returns the defaults with what the headers say in their place.
func (d Defaults) Override(h Headers) (Defaults, error) {
	p := parser{record: -1, lim: Limits{MaxDepth: 1}}
	if h.Partition != "" {
		v, ok := p.header(h.Partition)
		if !ok {
			return d, p.fail(CodeWrongType, -1, "send a whole number in decimal digits", "header X-Partition is %q", clip(h.Partition))
		}
		if err := p.checkPartition(v, -1); err != nil {
			return d, err
		}
		d.Partition = int32(v)
	}
	if h.TimestampMs != "" {
		v, ok := p.header(h.TimestampMs)
		if !ok {
			return d, p.fail(CodeWrongType, -1, "send milliseconds since 1970-01-01T00:00:00Z in decimal digits", "header X-Timestamp-Ms is %q", clip(h.TimestampMs))
		}
		if err := p.checkTime(v, -1, &d); err != nil {
			return d, err
		}
		d.TimeMicros = v * 1000
	}
	return d, nil
}

// header reads an integer that is the whole of a header's value.
func (p *parser) header(s string) (int64, bool) {
	p.b, p.i = []byte(strings.TrimSpace(s)), 0
	v, ok, err := p.integer()
	return v, ok && err == nil && p.i == len(p.b)
}

// clip bounds what an error repeats of the input.
func clip(s string) string {
	const most = 64
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

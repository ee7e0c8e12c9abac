package httpapi

import (
	"encoding/json"

	"firn/ingestd/registry"
)

// setting is one member of a PUT's body: how its JSON gets into the settings.
type setting struct {
	name, want string
	set        func(s *registry.Settings, value []byte) bool // false: it is not what is wanted
}

// settings are the members that a PUT's body may have.
var settings = []setting{
	{"payload", wantText, into(func(s *registry.Settings) *string { return &s.Payload })},
	{"partition_by", `an array such as ["hour"] or ["day","partition"]`, into(func(s *registry.Settings) *[]string { return &s.PartitionBy })},
	{"cut_interval", wantDuration, into(func(s *registry.Settings) *registry.Duration { return &s.CutInterval })},
	{"max_lag", wantDuration, into(func(s *registry.Settings) *registry.Duration { return &s.MaxLag })},
	{"hot_retention", wantDuration, into(func(s *registry.Settings) *registry.Duration { return &s.HotRetention })},
	{"table_retention", wantDuration, into(func(s *registry.Settings) *registry.Duration { return &s.TableRetention })},
	{"target_file_bytes", "a whole number", into(func(s *registry.Settings) *int64 { return &s.TargetFileBytes })},
	{"time_window_back", wantDuration, into(func(s *registry.Settings) *registry.Duration { return &s.TimeWindowBack })},
	{"time_window_ahead", wantDuration, into(func(s *registry.Settings) *registry.Duration { return &s.TimeWindowAhead })},
}

const (
	wantText     = `"text" or "binary"`
	wantDuration = `text like "10s", "1h30m" or "400d"`
)

// into reads a value into a field; null is not a value.
func into[T any](field func(*registry.Settings) *T) func(*registry.Settings, []byte) bool {
	return func(s *registry.Settings, value []byte) bool {
		var v *T
		if json.Unmarshal(value, &v) != nil || v == nil {
			return false
		}
		*field(s) = *v
		return true
	}
}

// settingsChange reads a PUT's body into the change that it asks for: what it leaves out stays as it is. It is as
// strict as the bulk envelope: no unknown member, none twice.
func settingsChange(body []byte) (registry.Change, error) {
	var members []member
	if len(body) > 0 {
		var err error
		if members, err = membersOf(body); err != nil {
			return nil, err
		}
	}
	change := func(s *registry.Settings) error {
		for _, m := range members {
			if !settings[m.setting].set(s, m.value) {
				f := newFault("invalid_settings", "see API.md for the settings and their types", "%s is %s: want %s", settings[m.setting].name, clip(string(m.value)), settings[m.setting].want)
				f.byte = m.at
				return f
			}
		}
		return nil
	}
	var scratch registry.Settings
	return change, change(&scratch)
}

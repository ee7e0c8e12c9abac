package registry

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestNames(t *testing.T) {
	f := func(name, suggestion string) {
		t.Helper()
		err := CheckName(name)
		var bad *NameError
		if !errors.As(err, &bad) {
			t.Errorf("%q was taken", name)
			return
		}
		if bad.Suggestion != suggestion {
			t.Errorf("%q: suggests %q, want %q", name, bad.Suggestion, suggestion)
		}
		if suggestion != "" && CheckName(suggestion) != nil {
			t.Errorf("%q: the suggestion %q is bad itself", name, suggestion)
		}
	}
	for _, good := range []string{"a", "clicks", "a1_b", strings.Repeat("a", 128)} {
		if err := CheckName(good); err != nil {
			t.Error(err)
		}
	}
	f("", "")
	f("Clicks", "clicks")
	f("web-clicks.v2", "web_clicks_v2")
	f("9lives", "t_9lives")
	f("_hidden", "t_hidden")
	f("_9", "t_9")
	f("-", "")
	f("___", "")
	f("日本", "")
	f("a/../b", "a_b")
	f("a\x00b", "a_b")
	f(strings.Repeat("x", 129), strings.Repeat("x", 128))
	if msg := CheckName(strings.Repeat("\xff", 1<<20)).Error(); len(msg) > 1000 {
		t.Errorf("a message of %d bytes", len(msg))
	}
}

func FuzzName(f *testing.F) {
	f.Add("Clicks")
	f.Add("_9")
	f.Add("é-1")
	f.Fuzz(func(t *testing.T, name string) {
		var bad *NameError
		if errors.As(CheckName(name), &bad) && bad.Suggestion != "" && CheckName(bad.Suggestion) != nil {
			t.Errorf("%q: the suggestion %q is bad itself", name, bad.Suggestion)
		}
	})
}

func TestDurations(t *testing.T) {
	f := func(text string, want time.Duration, printed string) {
		t.Helper()
		got, err := ParseDuration(text)
		if err != nil || time.Duration(got) != want || got.String() != printed {
			t.Errorf("%q: %s %q %v, want %s %q", text, time.Duration(got), got, err, want, printed)
		}
		again, err := ParseDuration(got.String())
		if err != nil || again != got {
			t.Errorf("%q is read back as %s, %v", got, again, err)
		}
	}
	f("10s", 10*time.Second, "10s")
	f("0s", 0, "0s")
	f("1h30m", 90*time.Minute, "1h30m")
	f("60m", time.Hour, "1h")
	f("100ms", 100*time.Millisecond, "100ms")
	f("10m", 10*time.Minute, "10m")
	f("1h0m10s", time.Hour+10*time.Second, "1h0m10s")
	f("400d", 400*Day, "400d")
	f("9600h", 400*Day, "400d")
	f("36h", 36*time.Hour, "36h")
	for _, bad := range []string{"", "d", "1.5d", "10", "x", "200000d", "9999999999d", "1w"} {
		if _, err := ParseDuration(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	var d Duration
	if err := json.Unmarshal([]byte("10"), &d); err == nil {
		t.Error("a number without a unit was taken")
	}
}

func TestSettingsAsJSON(t *testing.T) {
	s := DefaultSettings()
	if err := json.Unmarshal([]byte(`{"payload":"binary","cut_interval":"1s","partition_by":["none","partition"]}`), &s); err != nil {
		t.Fatal(err)
	}
	if s.Payload != PayloadBinary || time.Duration(s.CutInterval) != time.Second || time.Duration(s.TimeWindowBack) != 400*Day {
		t.Errorf("%+v", s)
	}
	if err := s.Validate(); err != nil {
		t.Error(err)
	}
	out, err := json.Marshal(DefaultSettings())
	want := `{"payload":"text","partition_by":["hour"],"cut_interval":"10s","max_lag":"1m","hot_retention":"0s","table_retention":"0s","target_file_bytes":536870912,"time_window_back":"400d","time_window_ahead":"1d"}`
	if err != nil || string(out) != want {
		t.Errorf("%s %v", out, err)
	}
}

func TestSettingsBounds(t *testing.T) {
	f := func(field string, change func(*Settings)) {
		t.Helper()
		s := DefaultSettings()
		change(&s)
		if err := s.Validate(); !errors.Is(err, ErrBadSettings) || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
	f("cut_interval", func(s *Settings) { s.CutInterval = Duration(time.Millisecond) })
	f("cut_interval", func(s *Settings) { s.CutInterval = Duration(48 * time.Hour) })
	f("max_lag", func(s *Settings) { s.MaxLag = 0 })
	f("hot_retention", func(s *Settings) { s.HotRetention = -1 })
	f("table_retention", func(s *Settings) { s.TableRetention = Duration(time.Minute) })
	f("time_window_back", func(s *Settings) { s.TimeWindowBack = Duration(time.Duration(1<<63 - 1)) })
	f("time_window_ahead", func(s *Settings) { s.TimeWindowAhead = -1 })
	f("target_file_bytes", func(s *Settings) { s.TargetFileBytes = 10 })
	f("partition_by", func(s *Settings) { s.PartitionBy = []string{"hour", "day"} })
	f("partition_by", func(s *Settings) { s.PartitionBy = []string{"partition", "partition"} })
}

func TestWindow(t *testing.T) {
	tab := &Table{Settings: DefaultSettings()}
	now := time.Date(2026, 11, 23, 6, 0, 0, 0, time.UTC)
	lo, hi := tab.Window(now)
	if time.UnixMicro(lo).UTC() != time.Date(2025, 10, 19, 6, 0, 0, 0, time.UTC) || time.UnixMicro(hi).UTC() != time.Date(2026, 11, 24, 6, 0, 0, 0, time.UTC) {
		t.Errorf("%s to %s", time.UnixMicro(lo).UTC(), time.UnixMicro(hi).UTC())
	}
	if lo <= 0 {
		t.Error("seconds sent for milliseconds would be taken")
	}
}

func BenchmarkEnsureKnown(b *testing.B) {
	tables := map[string]*Table{"clicks": {Name: "clicks"}}
	r := &Registry{}
	r.tables.Store(&tables)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Ensure(b.Context(), "clicks"); err != nil {
			b.Fatal(err)
		}
	}
}

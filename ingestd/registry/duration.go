package registry

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Day is a day of 24 hours; retention and windows know no other.
const Day = 24 * time.Hour

// Duration is a time.Duration that JSON states as text: "10s", "1h30m", or whole days, "400d".
type Duration time.Duration

// String is the form that ParseDuration reads, without the zero units that time.Duration prints.
func (d Duration) String() string {
	t := time.Duration(d)
	if t != 0 && t%Day == 0 {
		return strconv.FormatInt(int64(t/Day), 10) + "d"
	}
	s := t.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// ParseDuration reads what String writes, and all that time.ParseDuration reads.
func ParseDuration(s string) (Duration, error) {
	if digits, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseInt(digits, 10, 32)
		if err != nil || n > int64((1<<63-1)/Day) || n < -int64((1<<63-1)/Day) {
			return 0, fmt.Errorf("bad duration %q: days are a whole number, like \"400d\"", s)
		}
		return Duration(time.Duration(n) * Day), nil
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("bad duration %q: want text like \"10s\", \"1h30m\" or \"400d\"", s)
	}
	return Duration(d), nil
}

// MarshalJSON writes the text form.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

// UnmarshalJSON reads the text form; a bare number is refused, since its unit would be a guess.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("bad duration %s: want text like \"10s\", \"1h30m\" or \"400d\"", b)
	}
	v, err := ParseDuration(s)
	if err != nil {
		return err
	}
	*d = v
	return nil
}

package event

import (
	"strings"
	"testing"
)

func TestMayHoldKeys(t *testing.T) {
	f := func(body string, want bool) {
		t.Helper()
		if got := MayHoldKeys([]byte(body)); got != want {
			t.Errorf("%s: %v, want %v", body, got, want)
		}
	}
	f(``, false)
	f(`{"records":[{"payload":{"a":"b"},"timestamp_ms":1}]}`, false)
	f(`{"records":[{"payload":1,"idempotency_key":"k"}]}`, true)
	f(`{"records":[{"idempotency_key" : "k","payload":1}]}`, true)
	f(`{"records":[{"payload":1,"idempotency\u005fkey":"k"}]}`, true)
	f(`{"records":[{"payload":1,"\u0069dempotency_key":"k"}]}`, true)
	f(`{"records":[{"payload":"\u003cb\u003e \u0026 \u000a","timestamp_ms":1}]}`, false) // how Go's encoder writes HTML
	f(`{"records":[{"payload":"an \"idempotency_key\" in text"}]}`, false)
	f(`\u00`, false)
}

// keyed checks that no key is missed, whatever the body.
func keyed(t *testing.T, body []byte) {
	t.Helper()
	b := Get(len(body))
	defer b.Release()
	if DecodeBulk(b, body, DefaultLimits(), Defaults{MaxTime: 1 << 60}) == nil && b.Keyed && !MayHoldKeys(body) {
		t.Fatalf("%q holds a key", body)
	}
}

func FuzzMayHoldKeys(f *testing.F) {
	for _, name := range []string{`idempotency_key`, `idempotency\u005Fkey`, `\u0069dempotency_key`, `idempotency_ke\u0079`, `\u0069\u0064empotency_key`} {
		f.Add([]byte(`{"records":[{"payload":1,"` + name + `":"k"}]}`))
		f.Add([]byte(strings.ToUpper(`{"records":[{"payload":1,"` + name + `":"k"}]}`)))
	}
	f.Fuzz(keyed)
}

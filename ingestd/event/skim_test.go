package event

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// checkSkim holds skim to skipValue: the same end, or the same error.
func checkSkim(t *testing.T, value []byte, depth int) {
	t.Helper()
	lim := DefaultLimits()
	lim.MaxDepth = depth
	fast, slow := parser{b: value, record: -1, lim: lim}, parser{b: value, record: -1, lim: lim}
	got, want := fast.skim(depth), slow.skipValue(depth)
	switch {
	case got == nil && want == nil && fast.i == slow.i:
	case got != nil && want != nil && *got == *want:
	default:
		t.Fatalf("%q, depth %d: ends at %d with %v, want %d with %v", value, depth, fast.i, got, slow.i, want)
	}
}

func TestSkim(t *testing.T) {
	for _, value := range []string{
		`0`, `-`, `-0`, `01`, `-01.5`, `1.`, `1.e5`, `.5`, `1e`, `1e+`, `1E-7`, `12345678901234567890`, `123456789x`, `1 2`,
		`true`, `tru`, `nul`, `falsey`, `null,`, `""`, `"\"`, `"\`, `"\"\n"`, "\"\n\"", `"\ud83d\ude00"`, `"\ud83d"`, `"ü"`, "\"\xff\"", `"a`, `"12345678`, "\"\xc3",
		`[]`, `[ ]`, `[`, `[,]`, `[1,]`, `[1 2]`, `[1}`, `{}`, `{ }`, `{`, `{]`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{"a" : 1 , "b":[ {} , [] ]}x`, `{a:1}`, `{"a":1]`, `{1:1}`,
		"\"1234567\x7f\"", "\"1234567\x80\"", "\"\x1f\"", `"€uro"`, `{"ключ":"значение"}`,
	} {
		for depth := range 4 {
			checkSkim(t, []byte(value), depth)
		}
	}
	for n := 62; n < 68; n++ { // about the width of its stack
		for _, limit := range []int{63, 64, 65, 100} {
			checkSkim(t, []byte(strings.Repeat("[", n)+strings.Repeat("]", n)), limit)
			checkSkim(t, []byte(strings.Repeat(`{"a":`, n)+"1"+strings.Repeat("}", n)), limit)
		}
	}
	g := &generator{Rand: rand.New(rand.NewPCG(3, 4))}
	for range 20_000 {
		g.b = g.b[:0]
		g.value(4)
		checkSkim(t, g.b, 6)
		checkSkim(t, g.damage(g.b), 6)
	}
}

func FuzzSkim(f *testing.F) {
	f.Add([]byte(`{"a":[1,2.5e3,"x\u00e9é"],"b":{"c":null,"d":true}}`), 5)
	f.Fuzz(func(t *testing.T, value []byte, depth int) { checkSkim(t, value, min(max(depth, 0), 200)) })
}

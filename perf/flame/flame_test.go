package flame

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"runtime/pprof"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
)

// made is a profile of these stacks, each with its value: functions root first, by semicolons; "a+b" is b inlined in a.
func made(stacks map[string]int64) *profile.Profile {
	p := &profile.Profile{SampleType: []*profile.ValueType{{Type: "samples"}, {Type: "cpu", Unit: "nanoseconds"}}}
	for text, v := range stacks {
		s := &profile.Sample{Value: []int64{1, v}}
		for frame := range strings.SplitSeq(text, ";") {
			l := &profile.Location{}
			for name := range strings.SplitSeq(frame, "+") {
				l.Line = append([]profile.Line{{Function: &profile.Function{Name: name}}}, l.Line...)
			}
			s.Location = append([]*profile.Location{l}, s.Location...)
		}
		p.Sample = append(p.Sample, s)
	}
	return p
}

func draw(t *testing.T, p *profile.Profile, value string) string {
	t.Helper()
	var b bytes.Buffer
	g := Graph{Title: "CPU <&>", Value: value, Write: func(v int64) string { return fmt.Sprint(v, " ns") }}
	if err := g.Draw(&b, p); err != nil {
		t.Fatal(err)
	}
	d := xml.NewDecoder(bytes.NewReader(b.Bytes()))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return b.String()
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// A box is as wide as its share, stands under its caller, and says what it is.
func TestBoxes(t *testing.T) {
	text := draw(t, made(map[string]int64{
		"main.main;firn/ingestd/event.Decode+firn/ingestd/event.scan": 60,
		"main.main;runtime.cgocall":                                   30,
		"main.main":                                                   10,
	}), "cpu")
	for _, want := range []string{
		"all: 100 ns, 100.0 %", "main.main: 100 ns, 100.0 %", "firn/ingestd/event.Decode: 60 ns, 60.0 %", "firn/ingestd/event.scan: 60 ns, 60.0 %", "runtime.cgocall: 30 ns, 30.0 %",
		fmt.Sprintf(`y="%.1f" width="%.1f"`, head+2*row, 0.6*(width-2*margin)), fmt.Sprintf(`y="%.1f" width="%.1f"`, head+3*row, 0.6*(width-2*margin)), ">event.scan<", "CPU &lt;&amp;&gt;",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if draw(t, made(nil), "cpu") == "" {
		t.Error("an empty profile has no drawing")
	}
	if err := (Graph{Value: "heat"}).Draw(io.Discard, made(nil)); err == nil {
		t.Error("values were drawn that are not there")
	}
}

func TestShares(t *testing.T) {
	shares, err := Shares(made(map[string]int64{"main.main;firn/x.F;runtime.cgocall": 50, "main.main;firn/x.F": 30, "main.main;runtime.mallocgc": 15, "main.main;strings.Cut": 5}), "cpu")
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(shares); got != "[{RocksDB (by cgo) 0.5} {Firn 0.3} {collector, allocator 0.15} {copying, comparing 0.05}]" {
		t.Error(got)
	}
}

// A sample belongs to the innermost stage on its stack, with all that this calls.
func TestStages(t *testing.T) {
	all, err := Stages(made(map[string]int64{
		"firn/ingestd/httpapi.(*Server).serveDirect;firn/ingestd/httpapi.(*direct).send;syscall.write":                                           10,
		"firn/ingestd/httpapi.(*Server).serveDirect;firn/ingestd/httpapi.(*API).ingest;firn/ingestd/event.DecodeBulk;runtime.mallocgc":           40,
		"firn/ingestd/eventlog.(*writer).run;firn/ingestd/kv/rocks.(*Store).Write;runtime.cgocall":                                               20,
		"sync.(*WaitGroup).Go.func1;firn/ingestd/ship.(*Shipper).turn;firn/commitlib/datafile.(*Encoder).Encode;firn/commitlib/datafile/zpage.F": 25,
		"runtime.mcall;runtime.schedule": 5,
	}), "cpu")
	if err != nil {
		t.Fatal(err)
	}
	want := "[{socket: read the request, send the ack 0.1} {decode: JSON to columns 0.4} {group commit: RocksDB's write and sync 0.2} {encode: Parquet and zstd 0.25} {Go's scheduler and poller 0.05}]"
	if got := fmt.Sprint(all); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if _, err := Stages(made(nil), "heat"); err == nil {
		t.Error("values were added up that are not there")
	}
}

// The runtime's own profiles can be drawn.
func TestRealProfile(t *testing.T) {
	var b bytes.Buffer
	if err := pprof.Lookup("allocs").WriteTo(&b, 0); err != nil {
		t.Fatal(err)
	}
	p, err := Parse(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	draw(t, p, "alloc_space")
	if _, err := Parse([]byte("no profile")); err == nil {
		t.Error("text was read as a profile")
	}
}

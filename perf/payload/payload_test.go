package payload

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"
)

const connections = 3

// events reads a request as a server would, and returns its payloads, partitions and times.
func events(t *testing.T, s Spec, wire []byte) (payloads []json.RawMessage, partitions []int, times []int64) {
	t.Helper()
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(wire)))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(req.Body)
	if err != nil || int64(len(b)) != req.ContentLength {
		t.Fatalf("body of %d bytes, announced %d: %v", len(b), req.ContentLength, err)
	}
	if !utf8.Valid(b) {
		t.Fatal("a body is not UTF-8")
	}
	if s.Format == Bulk {
		var body struct {
			Records []struct {
				Payload   json.RawMessage
				Partition int
				Time      int64 `json:"timestamp_ms"`
			}
		}
		if err := json.Unmarshal(b, &body); err != nil {
			t.Fatalf("%v in %s", err, b)
		}
		for _, r := range body.Records {
			payloads, partitions, times = append(payloads, r.Payload), append(partitions, r.Partition), append(times, r.Time)
		}
		return payloads, partitions, times
	}
	for line := range bytes.Lines(b) {
		payloads = append(payloads, bytes.TrimSuffix(line, []byte("\n")))
	}
	p, _ := strconv.Atoi(req.Header.Get("X-Partition"))
	ms, _ := strconv.ParseInt(req.Header.Get("X-Timestamp-Ms"), 10, 64)
	return payloads, append(partitions, p), append(times, ms)
}

// Every event that a run sends is valid JSON of the promised length, and none comes twice, in any mix and format: a
// repeated event would compress to nothing and flatter every figure.
func TestEventsAreUniqueAndValid(t *testing.T) {
	lengths := map[Mix]int{Counters: DefaultSize, Clicks: clickSize, Documents: documentSize}
	for _, mix := range Mixes {
		for _, format := range []Format{Bulk, NDJSON, Single} {
			t.Run(string(mix)+"/"+string(format), func(t *testing.T) {
				seen, numbers := map[string]bool{}, map[string]bool{}
				n, rounds := 20, 15
				if format == Single {
					n = 1
				}
				for c := range connections {
					s := Spec{Host: "127.0.0.1:1", Table: "t", Format: format, Mix: mix, Events: n, First: uint64(c), Step: connections}
					r, err := New(s)
					if err != nil {
						t.Fatal(err)
					}
					if r.Events() != n || r.PayloadBytes() != n*lengths[mix] {
						t.Fatalf("%d events of %d bytes", r.Events(), r.PayloadBytes())
					}
					for range rounds {
						payloads, _, _ := events(t, s, r.Fill())
						if len(payloads) != n {
							t.Fatalf("%d events, want %d", len(payloads), n)
						}
						for _, p := range payloads {
							if !json.Valid(p) || len(p) != lengths[mix] {
								t.Fatalf("payload of %d bytes, want %d: %s", len(p), lengths[mix], p)
							}
							_, rest, _ := strings.Cut(string(p), ":")
							numbers[rest[:numberDigits]] = true
							seen[rest[numberDigits:]] = true // unique beside the number too
						}
					}
				}
				if want := connections * n * rounds; len(seen) != want || len(numbers) != want {
					t.Errorf("%d events and %d numbers are different among %d", len(seen), len(numbers), want)
				}
			})
		}
	}
}

// Unique events must not compress like repeated ones, nor like noise: a log of such events shrinks to a third or a
// seventh.
func TestMixesCompressLikeRealEvents(t *testing.T) {
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	for _, mix := range Mixes {
		var all []byte
		for c := range connections {
			s := Spec{Host: "h", Table: "t", Format: NDJSON, Mix: mix, Events: 50, First: uint64(c), Step: connections}
			r, err := New(s)
			if err != nil {
				t.Fatal(err)
			}
			for range 10 {
				payloads, _, _ := events(t, s, r.Fill())
				for _, p := range payloads {
					all = append(all, p...)
				}
			}
		}
		ratio := float64(len(all)) / float64(len(enc.EncodeAll(all, nil)))
		t.Logf("%s: %d bytes compress %.1f-fold", mix, len(all), ratio)
		if ratio < 2 || ratio > 8 {
			t.Errorf("%s: %d bytes compress %.1f-fold", mix, len(all), ratio)
		}
	}
}

func TestPartitionsAndTimes(t *testing.T) {
	now := time.Now().UnixMilli()
	for _, format := range []Format{Bulk, NDJSON, Single} {
		s := Spec{Host: "h", Table: "t", Format: format, Mix: Counters, Events: 50, Step: 1, Partitions: 7, Times: Scattered(365 * 24 * time.Hour)}
		if format == Single {
			s.Events = 1
		}
		r, err := New(s)
		if err != nil {
			t.Fatal(err)
		}
		lanes, days := map[int]bool{}, map[int64]bool{}
		for range 200 {
			_, partitions, times := events(t, s, r.Fill())
			for i, p := range partitions {
				if p < FirstPartition || p >= FirstPartition+7 {
					t.Fatalf("partition %d", p)
				}
				if age := now - times[i]; age < -time.Minute.Milliseconds() || age > (365*24*time.Hour).Milliseconds() {
					t.Fatalf("%s: an event of %d ms ago", format, age)
				}
				lanes[p], days[times[i]/(24*time.Hour).Milliseconds()] = true, true
			}
		}
		if len(lanes) != 7 || len(days) < 100 {
			t.Errorf("%s: %d partitions, %d days", format, len(lanes), len(days))
		}
	}
}

func TestClocks(t *testing.T) {
	now := time.Now().UnixMilli()
	if at, span := Warped(60, 10*time.Minute)(); span != 1 || at < now-36_000_000 || at > now-30_000_000 {
		t.Errorf("a warped clock starts %d ms ago", now-at)
	}
	c := Replayed(time.Hour, time.Minute)
	first, _ := c()
	for range 58 {
		c()
	}
	again, _ := c() // the 60th step is the end, where it begins again
	second, _ := c()
	if first-again != time.Minute.Milliseconds() || second != first || first > now-58*60_000 {
		t.Errorf("replay at %d, %d, %d of %d", first, again, second, now)
	}
}

func TestTablesComeInTurn(t *testing.T) {
	const tables = 5
	seen := map[string]int{}
	for c := range connections {
		r, err := New(Spec{Host: "h", Table: "t", Tables: tables, Format: Single, Mix: Counters, Events: 1, First: uint64(c), Step: connections})
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(r.Fill())))
			if err != nil {
				t.Fatal(err)
			}
			seen[strings.TrimPrefix(req.URL.Path, "/tables/")]++
		}
	}
	for i := range tables {
		if n := seen[TableName("t", i, tables)]; n != connections*10/tables {
			t.Errorf("table %d got %d requests: %v", i, n, seen)
		}
	}
}

func TestWrongSpecs(t *testing.T) {
	good := Spec{Host: "h", Table: "t", Format: Bulk, Mix: Counters, Events: 1, Step: 1}
	f := func(change func(*Spec)) {
		t.Helper()
		s := good
		change(&s)
		if _, err := New(s); err == nil {
			t.Errorf("taken: %+v", s)
		}
	}
	f(func(s *Spec) { s.Mix = "logs" })
	f(func(s *Spec) { s.Format = "xml" })
	f(func(s *Spec) { s.Events = 0 })
	f(func(s *Spec) { s.Format, s.Events = Single, 2 })
	f(func(s *Spec) { s.Partitions = MaxPartitions + 1 })
	f(func(s *Spec) { s.Tables = MaxTables + 1 })
	f(func(s *Spec) { s.Step = 0 })
}

func BenchmarkFill(b *testing.B) {
	for _, mix := range Mixes {
		b.Run(string(mix), func(b *testing.B) {
			r, err := New(Spec{Host: "h", Table: "t", Format: Bulk, Mix: mix, Events: 100, Step: 1})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.SetBytes(int64(r.PayloadBytes()))
			for b.Loop() {
				r.Fill()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/event")
		})
	}
}

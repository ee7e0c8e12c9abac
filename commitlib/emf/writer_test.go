package emf

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

var at = time.UnixMilli(1795426800123)

// decode reads one line with the members that the format's JSON schema requires.
func decode(t *testing.T, line []byte) (m struct {
	AWS struct {
		Timestamp         int64
		CloudWatchMetrics []struct {
			Namespace  string
			Dimensions [][]string
			Metrics    []struct{ Name, Unit string }
		}
	} `json:"_aws"`
}, members map[string]any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(line))
	if err := json.Unmarshal(line, &members); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	if err := d.Decode(&m); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return m, members
}

func TestLine(t *testing.T) {
	var out bytes.Buffer
	w, err := New(&out, Label{DimensionFunction, "committer"})
	if err != nil {
		t.Fatal(err)
	}
	err = w.Write(at, []Sample{Commits.Of(1), Conflicts.Of(), CommitMilliseconds.Of(12.5, 40)}, Label{"table", "default.clicks"})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"CommitMilliseconds":[12.5,40],"Commits":1,"Function":"committer",` +
		`"_aws":{"Timestamp":1795426800123,"CloudWatchMetrics":[{"Namespace":"Firn","Dimensions":[["Function"]],` +
		`"Metrics":[{"Name":"Commits","Unit":"Count"},{"Name":"CommitMilliseconds","Unit":"Milliseconds"}]}]},"table":"default.clicks"}` + "\n"
	if out.String() != want {
		t.Errorf("wrote %swant  %s", &out, want)
	}
}

// What a line takes of one metric is bounded; the rest follows in lines of their own, each value once.
func TestManyValuesTakeSeveralLines(t *testing.T) {
	var out bytes.Buffer
	w, err := New(&out)
	if err != nil {
		t.Fatal(err)
	}
	values := make([]float64, 2*maxValues+1)
	for i := range values {
		values[i] = float64(i)
	}
	if err := w.Write(at, []Sample{CommitLag.Of(values...), Commits.Of(1)}); err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSuffix(out.Bytes(), []byte("\n")), []byte("\n"))
	var got []float64
	commits := 0
	for _, line := range lines {
		m, members := decode(t, line)
		for _, d := range m.AWS.CloudWatchMetrics[0].Metrics {
			if d.Name == Commits.Name {
				commits++
			}
		}
		switch v := members[CommitLag.Name].(type) {
		case float64:
			got = append(got, v)
		case []any:
			if len(v) > maxValues {
				t.Errorf("a line has %d values", len(v))
			}
			for _, x := range v {
				got = append(got, x.(float64))
			}
		}
	}
	if len(lines) != 3 || commits != 1 || fmt.Sprint(got) != fmt.Sprint(values) {
		t.Errorf("%d lines, commits in %d, values %v", len(lines), commits, got)
	}
}

func TestNothingToSayIsNoLine(t *testing.T) {
	var out bytes.Buffer
	w, err := New(&out, Label{DimensionFunction, "committer"})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(at, []Sample{Commits.Of()}, Label{"table", "a.b"}); err != nil || out.Len() > 0 {
		t.Errorf("wrote %q, %v", &out, err)
	}
}

func TestRefused(t *testing.T) {
	many := make([]Label, maxDimensions+1)
	for i := range many {
		many[i] = Label{fmt.Sprint("d", i), "x"}
	}
	for _, dimensions := range [][]Label{many, {{"", "x"}}, {{"a", ""}}, {{"a", strings.Repeat("x", maxText+1)}}, {{"a", "x"}, {"a", "y"}}, {{"_aws", "x"}}} {
		if _, err := New(new(bytes.Buffer), dimensions...); err == nil {
			t.Errorf("dimensions %.80v passed", fmt.Sprint(dimensions))
		}
	}
	f := func(want string, samples []Sample, properties ...Label) {
		t.Helper()
		var out bytes.Buffer
		w, err := New(&out, Label{DimensionFunction, "committer"})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Write(at, samples, properties...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: want an error with %q", err, want)
		}
		if out.Len() > 0 {
			t.Errorf("an invalid line was written: %s", &out)
		}
	}
	f("Commits is NaN", []Sample{Commits.Of(math.NaN())})
	f("Commits is +Inf", []Sample{Commits.Of(math.Inf(1))})
	f("twice", []Sample{Commits.Of(1), Commits.Of(2)})
	f("twice", []Sample{Commits.Of(1)}, Label{"Commits", "x"})
	f("twice", []Sample{Commits.Of(1)}, Label{"Function", "x"})
	f("twice", []Sample{Commits.Of(1)}, Label{"_aws", "x"})
	wide := make([]Sample, maxMetrics+1)
	for i := range wide {
		wide[i] = Metric{Name: fmt.Sprint("m", i), Unit: Count}.Of(1)
	}
	f("101 metrics", wide)
}

// torn lets a line through in the pieces in which it came: lines of several goroutines must not mix.
type torn struct {
	mu     sync.Mutex
	writes [][]byte
}

func (t *torn) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.writes = append(t.writes, bytes.Clone(p))
	return len(p), nil
}

func TestLinesOfManyGoroutinesAreWhole(t *testing.T) {
	out := new(torn)
	w, err := New(out)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if err := w.Write(at, []Sample{Commits.Of(1)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for _, line := range out.writes {
		decode(t, line)
	}
	if len(out.writes) != 400 {
		t.Errorf("%d lines, want 400", len(out.writes))
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("no reader") }

func TestWriteErrorIsTold(t *testing.T) {
	w, err := New(broken{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(at, []Sample{Commits.Of(1)}); err == nil || !strings.Contains(err.Error(), "no reader") {
		t.Errorf("%v", err)
	}
}

// The list is what dashboards are checked against: no name twice, and each in the form that CloudWatch's own have.
func TestNames(t *testing.T) {
	name := regexp.MustCompile(`^[A-Z][A-Za-z0-9]{2,60}$`)
	units := map[Unit]bool{Count: true, Bytes: true, Seconds: true, Milliseconds: true}
	seen := map[string]bool{}
	for _, m := range Committer {
		if !name.MatchString(m.Name) || !units[m.Unit] || m.Help == "" || seen[m.Name] {
			t.Errorf("metric %+v: name, unit or help is missing or taken", m)
		}
		seen[m.Name] = true
	}
	if len(Committer) > maxMetrics {
		t.Errorf("%d metrics do not fit one line", len(Committer))
	}
}

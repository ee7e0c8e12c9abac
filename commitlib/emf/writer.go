package emf

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"time"
)

// Bounds of the format.
const (
	maxMetrics    = 100  // metrics in one line
	maxValues     = 100  // values of one metric in one line
	maxDimensions = 30   // of a line
	maxText       = 1024 // bytes of a dimension's value
)

// envelope is the member that tells CloudWatch which others are metrics.
const envelope = "_aws"

// Unit is one of CloudWatch's units.
type Unit string

// The units that Firn's metrics have.
const (
	Count        Unit = "Count"
	Bytes        Unit = "Bytes"
	Seconds      Unit = "Seconds"
	Milliseconds Unit = "Milliseconds"
)

// Metric declares a metric: names.go has them all.
type Metric struct {
	Name string
	Unit Unit
	Help string // what is counted, for those who read a dashboard
}

// Of is a sample of m: one value for each thing that was measured since the last line.
func (m Metric) Of(values ...float64) Sample { return Sample{m, values} }

// Sample is a metric's values. Without any it is left out of its line.
type Sample struct {
	Metric Metric
	Values []float64
}

// Label is a name and a value: a dimension of all that a writer writes, or a property of one line.
type Label struct{ Name, Value string }

// Writer writes lines to one place.
type Writer struct {
	dimensions []Label

	mu  sync.Mutex // writes to out, one line at a time
	out io.Writer
}

// New returns a writer whose lines have the given dimensions.
func New(out io.Writer, dimensions ...Label) (*Writer, error) {
	if len(dimensions) > maxDimensions {
		return nil, fmt.Errorf("make metric writer: %d dimensions, CloudWatch takes %d", len(dimensions), maxDimensions)
	}
	seen := map[string]bool{envelope: true}
	for _, d := range dimensions {
		switch {
		case d.Name == "" || d.Value == "" || len(d.Value) > maxText:
			return nil, fmt.Errorf("make metric writer: dimension %q is %q: want a name, and a value of 1 to %d bytes", d.Name, d.Value, maxText)
		case seen[d.Name]:
			return nil, fmt.Errorf("make metric writer: dimension %q is named twice", d.Name)
		}
		seen[d.Name] = true
	}
	return &Writer{dimensions: dimensions, out: out}, nil
}

// Write writes the samples as one line, or as several where a metric has more values than a line takes. Properties are
// in each of them, and are no metrics. Nothing is written when there is nothing to say.
func (w *Writer) Write(at time.Time, samples []Sample, properties ...Label) error {
	for from := 0; ; from += maxValues {
		line, err := w.line(at, samples, from, properties)
		if err != nil {
			return fmt.Errorf("write metrics: %w", err)
		}
		if line == nil {
			return nil
		}
		w.mu.Lock()
		_, err = w.out.Write(line)
		w.mu.Unlock()
		if err != nil {
			return fmt.Errorf("write metrics: %w", err)
		}
	}
}

// The envelope, as the format has it.
type (
	metadata struct {
		Timestamp         int64 // ms
		CloudWatchMetrics []directive
	}
	directive struct {
		Namespace  string
		Dimensions [][]string
		Metrics    []definition
	}
	definition struct {
		Name string
		Unit Unit
	}
)

// line returns the line that holds each metric's values from the from-th on; nil where none has any.
func (w *Writer) line(at time.Time, samples []Sample, from int, properties []Label) ([]byte, error) {
	members := make(map[string]any, 1+len(w.dimensions)+len(samples)+len(properties))
	set := func(name string, value any) error {
		if _, twice := members[name]; twice || name == envelope {
			return fmt.Errorf("%q is in one line twice", name)
		}
		members[name] = value
		return nil
	}
	d := directive{Namespace: Namespace, Dimensions: [][]string{make([]string, 0, len(w.dimensions))}}
	var errs []error
	for _, l := range w.dimensions {
		d.Dimensions[0] = append(d.Dimensions[0], l.Name)
		errs = append(errs, set(l.Name, l.Value))
	}
	for _, s := range samples {
		if len(s.Values) <= from {
			continue
		}
		values := s.Values[from:min(from+maxValues, len(s.Values))]
		for _, v := range values {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				errs = append(errs, fmt.Errorf("%s is %v: CloudWatch takes finite numbers", s.Metric.Name, v))
			}
		}
		d.Metrics = append(d.Metrics, definition{s.Metric.Name, s.Metric.Unit})
		errs = append(errs, set(s.Metric.Name, number(values)))
	}
	if len(d.Metrics) > maxMetrics {
		errs = append(errs, fmt.Errorf("%d metrics in one line, CloudWatch takes %d", len(d.Metrics), maxMetrics))
	}
	for _, l := range properties {
		errs = append(errs, set(l.Name, l.Value))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if len(d.Metrics) == 0 {
		return nil, nil
	}
	members[envelope] = metadata{at.UnixMilli(), []directive{d}}
	line, err := json.Marshal(members)
	return append(line, '\n'), err
}

// number is one number, or a list of them: the format has both.
func number(values []float64) any {
	if len(values) == 1 {
		return values[0]
	}
	return values
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"firn/commitlib"
)

// fake remembers what it was handed, and fails the ids it is told to.
type fake struct {
	got  []commitlib.Message
	fail []string
}

func (f *fake) Handle(_ context.Context, msgs []commitlib.Message) []string {
	f.got = append(f.got, msgs...)
	return f.fail
}

func handlerOf(t *testing.T, c committer, metrics io.Writer) *handler {
	t.Helper()
	m, err := newMeter(metrics, "committer", silent())
	if err != nil {
		t.Fatal(err)
	}
	m.counters = func() commitlib.Counters { return commitlib.Counters{} }
	return &handler{committer: c, meter: m, log: silent()}
}

func record(id, group, body string) events.SQSMessage {
	return events.SQSMessage{MessageId: id, Body: body, EventSource: "aws:sqs", Attributes: map[string]string{"MessageGroupId": group}}
}

func TestInvokeCarriesIDGroupAndBody(t *testing.T) {
	f := &fake{}
	_, err := handlerOf(t, f, io.Discard).invoke(t.Context(), events.SQSEvent{Records: []events.SQSMessage{
		record("m1", "default.clicks", `{"a":1}`), record("m2", "default.views", "b"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := []commitlib.Message{{ID: "m1", Group: "default.clicks", Body: []byte(`{"a":1}`)}, {ID: "m2", Group: "default.views", Body: []byte("b")}}
	if !slices.EqualFunc(f.got, want, func(a, b commitlib.Message) bool {
		return a.ID == b.ID && a.Group == b.Group && bytes.Equal(a.Body, b.Body)
	}) {
		t.Errorf("committer got %q, want %q", f.got, want)
	}
}

// The answer is judged as bytes: what the event source reads.
func TestInvokeAnswer(t *testing.T) {
	f := func(fail []string, want string) {
		t.Helper()
		h := handlerOf(t, &fake{fail: fail}, io.Discard)
		resp, err := h.invoke(t.Context(), events.SQSEvent{Records: []events.SQSMessage{record("m1", "a.b", ""), record("m2", "a.b", "")}})
		if err != nil {
			t.Fatal(err)
		}
		got, err := json.Marshal(resp)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("failed %v: answer %s, want %s", fail, got, want)
		}
	}
	f(nil, nothingAgain) // never null
	f([]string{"m2"}, `{"batchItemFailures":[{"itemIdentifier":"m2"}]}`)
	f([]string{"m1", "m2"}, `{"batchItemFailures":[{"itemIdentifier":"m1"},{"itemIdentifier":"m2"}]}`)
}

// One record of another kind spoils the event: nothing of it reaches the committer.
func TestInvokeRefusesEventsOfOtherSources(t *testing.T) {
	for _, bad := range []events.SQSMessage{
		{MessageId: "m2", EventSource: "aws:s3", Attributes: map[string]string{"MessageGroupId": "a.b"}},
		{MessageId: "m2", EventSource: "aws:sqs"}, // of a standard queue
	} {
		f := &fake{}
		_, err := handlerOf(t, f, io.Discard).invoke(t.Context(), events.SQSEvent{Records: []events.SQSMessage{record("m1", "a.b", ""), bad}})
		if err == nil || len(f.got) > 0 {
			t.Errorf("%+v: error %v, the committer got %d messages", bad, err, len(f.got))
		}
	}
}

// A time-out that leaves no time to commit is told, once in a process.
func TestInvokeTellsOfAShortTimeout(t *testing.T) {
	f := func(timeout time.Duration, want int) {
		t.Helper()
		var log bytes.Buffer
		h := handlerOf(t, &fake{}, io.Discard)
		h.log = slog.New(slog.NewTextHandler(&log, nil))
		for range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), timeout)
			if _, err := h.invoke(ctx, events.SQSEvent{}); err != nil {
				t.Error(err)
			}
			cancel()
		}
		if n := strings.Count(log.String(), "time-out is too short"); n != want {
			t.Errorf("with %v it was told %d times, want %d: %s", timeout, n, want, &log)
		}
	}
	f(3*time.Second, 1) // Lambda's default
	f(30*time.Second, 0)
}

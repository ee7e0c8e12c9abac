package main

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"slices"
	"testing"

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

func silent() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func TestHandleCarriesIDGroupAndBody(t *testing.T) {
	f := &fake{}
	h := &handler{f, silent()}
	_, err := h.handle(context.Background(), events.SQSEvent{Records: []events.SQSMessage{
		{MessageId: "m1", Body: `{"a":1}`, Attributes: map[string]string{"MessageGroupId": "default.clicks"}},
		{MessageId: "m2", Body: `b`},
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := []commitlib.Message{{ID: "m1", Group: "default.clicks", Body: []byte(`{"a":1}`)}, {ID: "m2", Body: []byte("b")}}
	if !slices.EqualFunc(f.got, want, func(a, b commitlib.Message) bool {
		return a.ID == b.ID && a.Group == b.Group && string(a.Body) == string(b.Body)
	}) {
		t.Errorf("committer got %q, want %q", f.got, want)
	}
}

// The answer is judged as bytes: what the event source reads.
func TestHandleAnswer(t *testing.T) {
	f := func(fail []string, want string) {
		t.Helper()
		h := &handler{&fake{fail: fail}, silent()}
		resp, err := h.handle(context.Background(), events.SQSEvent{Records: []events.SQSMessage{{MessageId: "m1"}, {MessageId: "m2"}}})
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
	f(nil, `{"batchItemFailures":[]}`) // never null
	f([]string{"m2"}, `{"batchItemFailures":[{"itemIdentifier":"m2"}]}`)
	f([]string{"m1", "m2"}, `{"batchItemFailures":[{"itemIdentifier":"m1"},{"itemIdentifier":"m2"}]}`)
}

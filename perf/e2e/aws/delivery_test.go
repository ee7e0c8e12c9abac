package aws

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"firn/perf/peer/runtimeapi"
)

// numbered makes messages of two groups, odd and even.
func numbered(n int) (msgs []message) {
	for i := range n {
		group := []string{"even", "odd"}[i%2]
		msgs = append(msgs, message{MessageId: fmt.Sprintf("m%02d", i), Attributes: map[string]string{"MessageGroupId": group}})
	}
	return msgs
}

// answer is a function's that wants some messages again.
func answer(again ...string) runtimeapi.Answer {
	items := make([]string, len(again))
	for i, id := range again {
		items[i] = fmt.Sprintf(`{"itemIdentifier":%q}`, id)
	}
	return runtimeapi.Answer{Body: []byte(`{"batchItemFailures":[` + strings.Join(items, ",") + `]}`)}
}

// Without delay a group's messages come in order, one invocation at a time, and what is wanted again keeps its place.
func TestDeliveryInOrder(t *testing.T) {
	d := newDelivery(t, manner{copies: 1, seed: 1})
	d.add(numbered(40))
	wanted := map[string]bool{"m04": true, "m11": true}
	got := map[string][]string{}
	for calls := 0; len(d.held) > 0; calls++ {
		if calls > 1000 {
			t.Fatalf("%d messages are stuck", len(d.held))
		}
		first, _ := d.batch()
		second, _ := d.batch()
		for _, h := range second {
			if slices.ContainsFunc(first, func(o heldCopy) bool { return o.group() == h.group() }) {
				t.Fatalf("group %s is in two invocations at a time", h.group())
			}
		}
		for _, batch := range [][]heldCopy{first, second} {
			if len(batch) == 0 {
				continue
			}
			var again []string
			stopped := map[string]bool{} // a function that wants one again wants all that follow in the group
			for _, h := range batch {
				if wanted[h.MessageId] || stopped[h.group()] {
					delete(wanted, h.MessageId)
					stopped[h.group()] = true
					again = append(again, h.MessageId)
					continue
				}
				got[h.group()] = append(got[h.group()], h.MessageId)
			}
			if err := d.settle(batch, answer(again...), nil, false); err != nil {
				t.Fatal(err)
			}
		}
		for i := range d.held {
			d.held[i].due = time.Time{} // time passes
		}
	}
	for group, ids := range got {
		if len(ids) != 20 || !slices.IsSorted(ids) {
			t.Errorf("group %s was delivered as %v", group, ids)
		}
	}
	if len(wanted) > 0 || d.count.Again < 2 {
		t.Errorf("%v were never wanted again; %+v", wanted, d.count)
	}
}

// With delay each message comes one to five times, some late, some out of order; what died comes again.
func TestDeliveryOutOfOrder(t *testing.T) {
	d := newDelivery(t, manner{copies: 5, delay: time.Hour, strike: 0.5, seed: 1})
	d.add(numbered(200))
	late, strikes := 0, 0
	for _, h := range d.held {
		if h.due.After(time.Now()) {
			late++
		}
	}
	if late < 100 {
		t.Errorf("%d of %d copies are late", late, len(d.held))
	}
	count, order := map[string]int{}, []string{}
	for len(d.held) > 0 {
		for i := range d.held {
			d.held[i].due = time.Time{}
		}
		batch, strike := d.batch()
		if strike > 0 {
			strikes++
			if err := d.settle(batch, runtimeapi.Answer{}, runtimeapi.ErrDied, true); err != nil {
				t.Fatal(err)
			}
			continue
		}
		for i, h := range batch {
			if index(batch[:i], h.MessageId) >= 0 {
				t.Errorf("%s is twice in a batch", h.MessageId)
			}
			count[h.MessageId]++
			order = append(order, h.MessageId)
		}
		if err := d.settle(batch, answer(), nil, false); err != nil {
			t.Fatal(err)
		}
	}
	times := map[int]int{}
	for _, n := range count {
		times[n]++
	}
	if len(count) != 200 || len(times) != 5 || times[1] == 0 || times[5] == 0 {
		t.Errorf("%d messages were delivered; so many so often: %v", len(count), times)
	}
	if slices.IsSorted(order) || strikes == 0 || d.count.Killed != strikes {
		t.Errorf("%d strikes, %+v", strikes, d.count)
	}
}

// What no function may answer is noticed.
func TestDeliveryNoticesWrongAnswers(t *testing.T) {
	f := func(name string, a runtimeapi.Answer, err error) {
		t.Helper()
		d := newDelivery(t, manner{copies: 1, seed: 1})
		d.add(numbered(1))
		batch, _ := d.batch()
		if d.settle(batch, a, err, false) == nil {
			t.Errorf("%s passes", name)
		}
	}
	f("null", runtimeapi.Answer{Body: []byte(`{"batchItemFailures":null}`)}, nil)
	f("no JSON", runtimeapi.Answer{Body: []byte(`oops`)}, nil)
	f("an error", runtimeapi.Answer{Body: []byte(`{"batchItemFailures":[]}`), Failed: true}, nil)
	f("a message that it did not get", answer("m99"), nil)
	f("a death that nobody caused", runtimeapi.Answer{}, runtimeapi.ErrDied)
}

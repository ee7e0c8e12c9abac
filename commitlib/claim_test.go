package commitlib

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"firn/commitlib/objstore"
)

// claim puts the request aside and returns its message.
func (w *world) claim(id string, r *Request) (Message, *Claim) {
	w.Helper()
	body, err := Encode(r)
	w.must(err)
	claim, err := StoreClaim(w.Context(), w.store, body)
	w.must(err)
	return Message{ID: id, Group: r.Group(), Body: claim.Message}, claim
}

// letters has a committer that keeps its dead letters.
func (w *world) letters() (*Committer, *[]string) {
	all := new([]string)
	cfg := w.config()
	cfg.DeadLetter = func(_ context.Context, m Message, reason string) error {
		*all = append(*all, m.ID+": "+reason)
		return nil
	}
	return New(w.cat, w.store, cfg), all
}

func TestClaimIsAsGoodAsItsRequest(t *testing.T) {
	w := newWorld(t)
	c := w.committer()
	a := w.log()
	first, claim := w.claim("1", w.request(a, 1, 5))
	if len(first.Body) > 400 || claim.Log != a || claim.Last != 5 || !strings.HasPrefix(claim.Key, "default/clicks/_firn/claims/"+a.String()+"/1-5-") {
		t.Errorf("claim %+v", claim)
	}
	w.handle(c, "", message(t, "2", w.request(a, 6, 9)), first) // beside one that came whole, and out of order
	w.holds(map[uuid.UUID]Seq{a: 9})
	w.handle(c, "", first)
	w.holds(map[uuid.UUID]Seq{a: 9})
	if n := c.Counters(); n.Claims != 2 || n.Skipped != 1 || n.Applied != 2 {
		t.Errorf("counters %+v", n)
	}
}

func TestClaimIsMadeOnce(t *testing.T) {
	w := newWorld(t)
	r := w.request(w.log(), 1, 5)
	_, first := w.claim("1", r)
	w.store.ResetCounts()
	_, second := w.claim("1", r)
	if first.Key != second.Key || !bytes.Equal(first.Message, second.Message) {
		t.Errorf("%s and %s", first.Key, second.Key)
	}
	if n := w.store.Counts(); n.Of(objstore.OpPut).Calls != 1 || n.Of(objstore.OpHead).Calls != 1 || n.Calls() != 2 {
		t.Errorf("calls %+v", n)
	}
	r.StagedAt = r.StagedAt.Add(1e6)
	if _, other := w.claim("1", r); other.Key == first.Key {
		t.Error("another request has the same claim")
	}

	// Somebody's damage at the name is left alone.
	if _, err := w.store.Put(t.Context(), first.Key, []byte("damage"), objstore.Condition{}); err != nil {
		t.Fatal(err)
	}
	r.StagedAt = r.StagedAt.Add(-1e6)
	m, third := w.claim("1", r)
	if third.Key == first.Key || !strings.HasPrefix(third.Key, strings.TrimSuffix(first.Key, ".json")+"-") {
		t.Errorf("key %s", third.Key)
	}
	w.handle(w.committer(), "", m)
	w.holds(map[uuid.UUID]Seq{r.Log: 5})
}

func TestClaimThatTheStoreDoesNotTakeIsNotSent(t *testing.T) {
	w := newWorld(t)
	body, err := Encode(w.request(w.log(), 1, 5))
	w.must(err)
	f := func(want error, fault objstore.Fault, op objstore.Op) {
		t.Helper()
		w.store.SetFault(func(c objstore.Call) objstore.Fault {
			if c.Op == op {
				return fault
			}
			return objstore.Fault{}
		})
		defer w.store.SetFault(nil)
		if _, err := StoreClaim(t.Context(), w.store, body); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	broken := errors.New("store is broken")
	f(broken, objstore.Fault{Err: broken}, objstore.OpPut)
	f(objstore.ErrUnknown, objstore.Fault{Err: objstore.ErrUnknown}, objstore.OpPut)
	f(nil, objstore.Fault{Applied: true}, objstore.OpPut)   // a look tells that it is there
	f(broken, objstore.Fault{Err: broken}, objstore.OpHead) // it is there by now, and cannot be looked at
	f(nil, objstore.Fault{}, objstore.OpPut)

	if _, err := StoreClaim(t.Context(), w.store, make([]byte, MaxRequestBytes+1)); err == nil || !strings.Contains(err.Error(), "cut the segment smaller") {
		t.Errorf("too large: %v", err)
	}
	if _, err := StoreClaim(t.Context(), w.store, []byte("{")); err == nil {
		t.Error("a claim for what is no request")
	}
	if _, err := StoreClaim(t.Context(), w.store, []byte(`{"location":"s3://other/t"}`)); err == nil || !strings.Contains(err.Error(), "outside the store") {
		t.Errorf("another store: %v", err)
	}
}

func TestMessageWhoseClaimIsGoneIsDropped(t *testing.T) {
	w := newWorld(t)
	c, letters := w.letters()
	a := w.log()
	first, claim := w.claim("1", w.request(a, 1, 5))
	w.must(w.store.Delete(t.Context(), claim.Key))
	w.handle(c, "", first, message(t, "2", w.request(a, 6, 9))) // which is a gap without it
	w.holds(map[uuid.UUID]Seq{a: 0})
	if n := c.Counters(); n.ClaimsGone != 1 || n.Gaps != 1 || len(*letters) != 0 {
		t.Errorf("counters %+v, dead letters %q", n, *letters)
	}
	again, _ := w.claim("1 again", w.request(a, 1, 5)) // its sender's re-send makes it anew
	w.handle(c, "", again, message(t, "2 again", w.request(a, 6, 9)))
	w.holds(map[uuid.UUID]Seq{a: 9})
}

func TestClaimThatCannotBeReadComesAgain(t *testing.T) {
	w := newWorld(t)
	c, letters := w.letters()
	a := w.log()
	first, claim := w.claim("1", w.request(a, 1, 5))
	w.store.SetFault(func(c objstore.Call) objstore.Fault {
		if c.Key == claim.Key {
			return objstore.Fault{Err: errors.New("store is broken")}
		}
		return objstore.Fault{}
	})
	b := w.log()
	other := message(t, "3", w.request(b, 1, 1))
	w.handle(c, "1 3", first, other) // a FIFO queue wants all that follow, even what was applied
	w.store.SetFault(nil)
	w.holds(map[uuid.UUID]Seq{a: 0, b: 1})
	w.handle(c, "", first, other)
	w.holds(map[uuid.UUID]Seq{a: 5, b: 1})
	if len(*letters) != 0 {
		t.Errorf("dead letters %q", *letters)
	}
}

func TestClaimThatIsNoneIsRejected(t *testing.T) {
	w := newWorld(t)
	c, letters := w.letters()
	a := w.log()
	good, claim := w.claim("1", w.request(a, 1, 5))
	f := func(want string, body string) {
		t.Helper()
		*letters = nil
		w.handle(c, "", Message{ID: "m", Group: "default.clicks", Body: []byte(body)})
		if len(*letters) != 1 || !strings.Contains((*letters)[0], want) {
			t.Errorf("%s: dead letters %q, want %q", body, *letters, want)
		}
	}
	edit := func(change func(m *claimMessage)) string {
		t.Helper()
		m := new(claimMessage)
		w.must(json.Unmarshal(good.Body, m))
		change(m)
		body, err := json.Marshal(m)
		w.must(err)
		return string(body)
	}
	f("decode claim: unexpected EOF", claimPrefix+"1")
	f("version 2 is not 1", `{"claim":2,"new":true}`)
	f("unknown field", `{"claim":1,"new":true}`)
	f("is missing", `{"claim":1,"bytes":3}`)
	f("exceed 4096", claimPrefix+"1"+strings.Repeat(" ", maxClaimMessage)+"}")
	f("more follows", string(good.Body)+"{}")
	f("request of 0 bytes", edit(func(m *claimMessage) { m.Bytes = 0 }))
	f("request of 16777217 bytes", edit(func(m *claimMessage) { m.Bytes = MaxRequestBytes + 1 }))
	f("outside the store", edit(func(m *claimMessage) { m.Location = "s3://other/" + claim.Key }))
	f("would leave the store", edit(func(m *claimMessage) { m.Location = w.store.Root() + "/../x" }))
	f("holds", edit(func(m *claimMessage) { m.Bytes++ }))
	f("is damaged", edit(func(m *claimMessage) { m.Bytes-- }))
	f("is damaged", edit(func(m *claimMessage) { m.Checksum = "crc32c:00000000" }))

	// The object is whole, and not where a claim of that request lies.
	key := "default/other/_firn/claims/" + a.String() + "/x.json"
	if _, err := w.store.Put(t.Context(), key, w.object(objstore.Location(w.store, claim.Key)), objstore.Condition{}); err != nil {
		t.Fatal(err)
	}
	f("holds a request of log", edit(func(m *claimMessage) { m.Location = objstore.Location(w.store, key) }))

	// What the claim holds is judged as any message is.
	other, _ := w.claim("1", w.request(a, 1, 5))
	other.Group = "default.other"
	*letters = nil
	w.handle(c, "", other)
	if len(*letters) != 1 || !strings.Contains((*letters)[0], `message of group "default.other"`) {
		t.Errorf("dead letters %q", *letters)
	}
	w.holds(map[uuid.UUID]Seq{a: 0})
}

// A batch of the largest claims is read as memory allows; what is beyond comes again, and its group with it.
func TestClaimsOfABatchAreBounded(t *testing.T) {
	claim := func(group, id string, bytes int64) Message {
		body, err := json.Marshal(claimMessage{claimVersion, "mem://x/y", bytes, "crc32c:0"})
		if err != nil {
			t.Fatal(err)
		}
		return Message{ID: id, Group: group, Body: body}
	}
	whole := func(group, id string) Message { return Message{ID: id, Group: group, Body: []byte(`{"v":1}`)} }
	got := withinBudget([]Message{
		claim("a", "1", MaxRequestBytes), whole("a", "2"), claim("a", "3", MaxRequestBytes), claim("a", "4", 1), whole("a", "5"),
		whole("b", "6"), claim("b", "7", 1), claim("c", "8", MaxRequestBytes+1), whole("d", "9"),
	})
	if want := map[string]int{"a": 3, "b": 1, "c": 1, "d": 1}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}

	w := newWorld(t)
	c := w.committer()
	var msgs []Message
	a := w.log()
	for i := range 4 {
		m, _ := w.claim(fmt.Sprint(i), w.request(a, Seq(i+1), Seq(i+1)))
		msgs = append(msgs, m)
	}
	large := claim("default.clicks", "large", MaxRequestBytes)
	batch := slices.Concat(msgs[:2], []Message{large, large, msgs[2], msgs[3]})
	w.handle(c, "large 2 3", batch...) // the second large one is beyond the budget
	w.holds(map[uuid.UUID]Seq{a: 2})
	w.handle(c, "", msgs[2:]...)
	w.holds(map[uuid.UUID]Seq{a: 4})
}

func FuzzDecodeClaim(f *testing.F) {
	f.Add([]byte(`{"claim":1,"location":"mem://w/t/_firn/claims/x","bytes":9,"checksum":"crc32c:01234567"}`))
	f.Add([]byte(`{"claim":2}`))
	f.Add([]byte(claimPrefix))
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := decodeClaim(body)
		if err != nil {
			return
		}
		if m.Claim != claimVersion || m.Bytes < 1 || m.Bytes > MaxRequestBytes || m.Location == "" {
			t.Fatalf("decoded %+v", m)
		}
	})
}

func TestGroupFitsAQueue(t *testing.T) {
	for _, group := range []string{"", "default.clicks", strings.Repeat("x", 128)} {
		if got := QueueGroup(group); got != group {
			t.Errorf("%q became %q", group, got)
		}
	}
	long := strings.Repeat("n", 128) + "." + strings.Repeat("t", 128)
	got := QueueGroup(long)
	if len(got) != 128 || QueueGroup(got) != got || got == QueueGroup(long+"u") || !strings.HasPrefix(got, "nnnn") {
		t.Errorf("%q became %q", long, got)
	}
}

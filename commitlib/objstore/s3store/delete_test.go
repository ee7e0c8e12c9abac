package s3store

import (
	"fmt"
	"strings"
	"testing"

	"firn/commitlib/objstore"
)

// TestDeleteMany: a thousand keys a request; what one answer says was not deleted is asked for again, alone.
func TestDeleteMany(t *testing.T) {
	var keys []string
	for n := range maxDeletes + 2 {
		keys = append(keys, fmt.Sprint("k", n))
	}
	all := reply{status: 200, text: "<DeleteResult/>"}
	some := reply{status: 200, text: "<DeleteResult><Error><Key>ware/k7</Key><Code>InternalError</Code></Error>" +
		"<Error><Key>ware/k8</Key><Code>NoSuchKey</Code></Error><Error><Key>ware/k9</Key><Code>SlowDown</Code></Error></DeleteResult>"}
	server := script(t, some, internal, all)
	s := newTestStore(t, testConfig(server.URL))
	if err := s.Delete(t.Context(), keys...); err != nil {
		t.Fatal(err)
	}
	f := func(n int, want ...string) {
		t.Helper()
		_, body := server.request(n)
		if got := strings.Count(string(body), "<Key>"); len(want) > 2 && got != maxDeletes || len(want) <= 2 && got != len(want) {
			t.Errorf("request %d has %d keys", n, got)
		}
		for _, key := range want {
			if !strings.Contains(string(body), "<Key>ware/"+key+"</Key>") {
				t.Errorf("request %d lacks %s", n, key)
			}
		}
	}
	f(0, keys[:maxDeletes]...)
	f(1, "k7", "k9")
	f(2, "k7", "k9")
	f(3, "k1000", "k1001")
	if n := server.requests(); n != 4 {
		t.Errorf("%d requests", n)
	}
}

func TestDeleteAnswers(t *testing.T) {
	f := func(want error, requests int, keys []string, replies ...reply) {
		t.Helper()
		server := script(t, replies...)
		s := newTestStore(t, testConfig(server.URL))
		wantOnly(t, fmt.Sprint(replies), s.Delete(t.Context(), keys...), want)
		if n := server.requests(); n != requests {
			t.Errorf("%+v: %d requests, want %d", replies, n, requests)
		}
	}
	one, two := []string{"a"}, []string{"a", "b"}
	gone := reply{status: 204}
	forbidden := reply{status: 200, text: "<DeleteResult><Error><Key>ware/b</Key><Code>AccessDenied</Code></Error></DeleteResult>"}
	f(nil, 0, nil, internal)
	f(nil, 1, one, gone)
	f(nil, 1, one, noKey)
	f(nil, 4, one, internal, reset, slowDown, gone)
	f(objstore.ErrUnknown, maxAttempts, one, internal)
	f(objstore.ErrFatal, 1, one, denied)
	f(objstore.ErrFatal, 1, two, forbidden)
	f(objstore.ErrFatal, 1, two, noBucket)
}

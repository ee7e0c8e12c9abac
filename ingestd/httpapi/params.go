package httpapi

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
)

// header returns the one value of a header, and whether it is there.
func header(r *http.Request, name string) (string, bool, error) {
	v := r.Header[name]
	switch {
	case len(v) == 0:
		return "", false, nil
	case len(v) > 1:
		return "", false, newFault("invalid_header", "send it once", "header %s is there %d times", name, len(v))
	case v[0] == "":
		return "", false, newFault("invalid_header", "leave it out where there is nothing to say", "header %s is empty", name)
	}
	return v[0], true, nil
}

// nearMisses are the names, in net/http's spelling, that producers send for one of our headers by mistake. Other
// unknown headers are nobody's business here: clients and proxies add their own.
var nearMisses = func() map[string]string {
	m := map[string]string{}
	for right, wrong := range map[string][]string{
		"Idempotency-Key": {"X-Idempotency-Key", "Idempotency_Key", "IdempotencyKey", "Idempotence-Key", "Idempotency-Token"},
		"X-Partition":     {"X-Partition-Id", "X-Partition-Key", "X_Partition", "Partition", "Partition-Id"},
		"X-Timestamp-Ms":  {"X-Timestamp", "X_Timestamp_Ms", "X-TimestampMs", "X-Timestamp-Millis", "X-Timestamp_Ms", "Timestamp-Ms"},
	} {
		for _, name := range wrong {
			m[http.CanonicalHeaderKey(name)] = right
		}
	}
	return m
}()

// misspelt refuses a header that would be ignored, and with it what its sender relies on.
func misspelt(r *http.Request) error {
	for name := range r.Header {
		if right, ok := nearMisses[name]; ok {
			return newFault("invalid_header", "the header is "+right, "there is no header %s here", name)
		}
	}
	return nil
}

// query returns the query parameters, of which only the named ones are known, each at most once. One that is
// misspelt must not be ignored in silence.
func query(r *http.Request, known ...string) (url.Values, error) {
	if r.URL.RawQuery == "" {
		return nil, nil
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, newFault("invalid_parameter", "encode the query as application/x-www-form-urlencoded", "the query cannot be read: %s", clip(err.Error()))
	}
	for name, values := range q {
		found := false
		for _, k := range known {
			found = found || k == name
		}
		if !found {
			return nil, newFault("invalid_parameter", "see API.md for this route's parameters", "there is no parameter %q", clip(name))
		}
		if len(values) > 1 || values[0] == "" {
			return nil, newFault("invalid_parameter", "give each parameter once, with a value", "parameter %s has %d values, or an empty one", name, len(values))
		}
	}
	return q, nil
}

// number reads an integer parameter in [lo, hi]; otherwise is what it is where it is left out.
func number(q url.Values, name string, lo, hi, otherwise int64) (int64, error) {
	s := q.Get(name)
	if s == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < lo || n > hi {
		return 0, newFault("invalid_parameter", fmt.Sprintf("give a whole number from %d to %d", lo, hi), "%s is %q", name, clip(s))
	}
	return n, nil
}

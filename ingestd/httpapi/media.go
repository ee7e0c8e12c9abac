package httpapi

import (
	"mime"
	"net/http"
	"strings"
)

// The media types that bodies come as.
type media int

const (
	mediaNone   media = iota // no Content-Type, or the one that curl and forms send when nobody chose one
	mediaJSON                // application/json, …+json
	mediaNDJSON              // application/x-ndjson and its other names
	mediaBytes               // text/…, application/octet-stream
)

// mediaOf sorts a request's Content-Type.
func mediaOf(r *http.Request) (media, error) {
	v := r.Header["Content-Type"]
	if len(v) == 0 || len(v) == 1 && v[0] == "" {
		return mediaNone, nil
	}
	if len(v) > 1 {
		return 0, unsupportedType(strings.Join(v, ", "))
	}
	if v[0] == "application/json" { // nearly always, and parsing allocates
		return mediaJSON, nil
	}
	t, params, err := mime.ParseMediaType(v[0])
	if err != nil {
		return 0, unsupportedType(v[0])
	}
	if c := params["charset"]; c != "" && !strings.EqualFold(c, "utf-8") && !strings.EqualFold(c, "us-ascii") {
		return 0, unsupportedType(v[0])
	}
	switch {
	case t == "application/x-www-form-urlencoded":
		return mediaNone, nil
	case t == "application/json" || strings.HasPrefix(t, "application/") && strings.HasSuffix(t, "+json"):
		return mediaJSON, nil
	case t == "application/x-ndjson" || t == "application/ndjson" || t == "application/jsonl" || t == "application/x-jsonlines":
		return mediaNDJSON, nil
	case strings.HasPrefix(t, "text/") || t == "application/octet-stream":
		return mediaBytes, nil
	}
	return 0, unsupportedType(v[0])
}

func unsupportedType(v string) error {
	return newFault("unsupported_content_type",
		"one event: application/json, text/plain or application/octet-stream; bulk: application/json or application/x-ndjson; text in UTF-8",
		"this route does not take Content-Type %q", clip(v))
}

package maintain

import (
	"path"
	"strings"

	"firn/commitlib/objstore"
)

// keyOf is the key in the store of a location that metadata states; ok is false where it lies elsewhere. Engines write
// one place in several ways: s3a:// and s3n:// are s3://, file:/a is file:///a and /a. A live object that is not known
// for what it is would be removed.
func keyOf(s objstore.Store, location string) (key string, ok bool) {
	if key, ok = objstore.Key(s, location); ok && !strings.Contains(key, "//") {
		return key, true
	}
	if key, ok = strings.CutPrefix(canonical(location), canonical(s.Root())+"/"); !ok {
		return "", false
	}
	return key, true
}

func canonical(location string) string {
	scheme, rest, ok := strings.Cut(location, ":")
	if !ok || strings.Contains(scheme, "/") {
		scheme, rest = "file", location
	}
	switch scheme {
	case "s3a", "s3n":
		return "s3:" + rest
	case "file":
		if host, ok := strings.CutPrefix(rest, "//localhost/"); ok {
			rest = "/" + host
		}
		return "file://" + path.Clean("/"+rest)
	}
	return location
}

// hash is FNV-1a: names are hashed alike by every process that looks at a table. A collision among live objects keeps
// something that could go, no more.
func hash(text string) uint64 {
	h := uint64(14695981039346656037)
	for i := 0; i < len(text); i++ {
		h = (h ^ uint64(text[i])) * 1099511628211
	}
	return h
}

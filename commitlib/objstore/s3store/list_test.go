package s3store

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"firn/commitlib/objstore"
)

// page is one answer to a list.
func page(next string, encoded bool, keys ...string) reply {
	var b strings.Builder
	b.WriteString("<ListBucketResult><Name>bucket</Name>")
	if encoded {
		b.WriteString("<EncodingType>url</EncodingType>")
	}
	for _, key := range keys {
		if folder, ok := strings.CutSuffix(key, "|"); ok {
			fmt.Fprintf(&b, "<CommonPrefixes><Prefix>%s</Prefix></CommonPrefixes>", folder)
			continue
		}
		fmt.Fprintf(&b, "<Contents><Key>%s</Key><Size>7</Size><ETag>&quot;e&quot;</ETag><LastModified>2026-11-23T06:00:00.000Z</LastModified></Contents>", key)
	}
	if next != "" {
		fmt.Fprintf(&b, "<IsTruncated>true</IsTruncated><NextContinuationToken>%s</NextContinuationToken>", next)
	}
	b.WriteString("</ListBucketResult>")
	return reply{status: 200, text: b.String()}
}

// TestListPages: pages are asked for one after the other, each again by itself where it is lost; keys come back as they
// were put, and what is no key of the port's is left out.
func TestListPages(t *testing.T) {
	server := script(t, page("one", true, "ware/a%2Bb", "ware/c+d", "ware/e%25f"), internal, reset, page("two", false, "ware/f%2Bg", "ware/folder/", "ware/h"), page("", true, "ware/z"))
	s := newTestStore(t, testConfig(server.URL))
	var got []string
	err := s.List(t.Context(), "", func(i objstore.Info) error {
		if i.Size != 7 || i.ETag != `"e"` || i.Modified.IsZero() {
			t.Errorf("%+v", i)
		}
		got = append(got, i.Key)
		return nil
	})
	if want := []string{"a+b", "c d", "e%f", "f%2Bg", "h", "z"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
	for n, want := range []string{"", "one", "one", "one", "two"} {
		r, _ := server.request(n)
		if q := r.URL.Query(); q.Get("continuation-token") != want || q.Get("prefix") != "ware/" || q.Get("encoding-type") != "url" {
			t.Errorf("request %d asked %v", n, q)
		}
	}
}

// TestListStops: an error of the caller's ends it without another request.
func TestListStops(t *testing.T) {
	server := script(t, page("one", false, "ware/a", "ware/b"))
	s := newTestStore(t, testConfig(server.URL))
	enough := errors.New("enough")
	if err := s.List(t.Context(), "", func(objstore.Info) error { return enough }); err != enough || server.requests() != 1 {
		t.Errorf("%v after %d requests", err, server.requests())
	}
}

// TestListIsDoubted: an order that is none would hide versions from a catalog, and a list that never ends its caller.
func TestListIsDoubted(t *testing.T) {
	f := func(want error, text string, replies ...reply) {
		t.Helper()
		server := script(t, replies...)
		s := newTestStore(t, testConfig(server.URL))
		err := s.List(t.Context(), "", func(objstore.Info) error { return nil })
		wantOnly(t, text, err, want)
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%v, want %q in it", err, text)
		}
	}
	f(objstore.ErrFatal, "not in byte order", page("", false, "ware/b", "ware/a"))
	f(objstore.ErrFatal, "not in byte order", page("next", false, "ware/b"), page("", false, "ware/a"))
	f(errOther, "not where it goes on", page("same", false, "ware/a"), page("same", false, "ware/b"))
	f(errOther, "no URL encoding", page("", true, "ware/%zz"))
	f(objstore.ErrFatal, "403", denied)
}

func TestFolderPages(t *testing.T) {
	server := script(t, page("one", true, "ware/t/|", "ware/file"), page("", true, "ware/u%20v/|", "ware//|"))
	s := newTestStore(t, testConfig(server.URL))
	var got []string
	err := s.Folders(t.Context(), "", func(name string) error { got = append(got, name); return nil })
	if want := []string{"t", "u v"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
	if r, _ := server.request(0); r.URL.Query().Get("delimiter") != "/" {
		t.Errorf("asked %v", r.URL)
	}
}

// Package storetest is the contract of objstore.Store as tests: every store runs it, the in-memory twin as the one over
// a network. For tests alone.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"firn/commitlib/objstore"
)

// Run runs the contract. open returns an empty store each time.
func Run(t *testing.T, open func(t *testing.T) objstore.Store) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, objstore.Store)
	}{
		{"ReadBack", readBack},
		{"ReadAt", readAt},
		{"Conditions", conditions},
		{"ETags", etags},
		{"Missing", missing},
		{"BadKeys", badKeys},
		{"OddKeys", oddKeys},
		{"Delete", deletes},
		{"List", list},
		{"Folders", folders},
		{"Cancelled", cancelled},
		{"BodyIsNotKept", bodyIsNotKept},
		{"Create", creates},
		{"BigPut", bigPut},
		{"CreateConditions", createConditions},
		{"GivenUp", givenUp},
		{"CreateRace", createRace},
		{"ExclusiveRace", exclusiveRace},
		{"CompareAndSwapRace", compareAndSwapRace},
		{"ReadersSeeWholeObjects", readersSeeWholeObjects},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

var absent = objstore.Condition{Absent: true}

func put(t *testing.T, s objstore.Store, key, body string, cond objstore.Condition) objstore.Info {
	t.Helper()
	info, err := s.Put(t.Context(), key, []byte(body), cond)
	if err != nil {
		t.Fatalf("put %q: %v", key, err)
	}
	return info
}

func wantBody(t *testing.T, s objstore.Store, key, want string) {
	t.Helper()
	got, _, err := s.Get(t.Context(), key)
	if err != nil || string(got) != want {
		t.Fatalf("get %q = %.40q, %v; want %.40q", key, got, err, want)
	}
}

func wantError(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%s: error %v, want %v", what, err, want)
	}
}

func readBack(t *testing.T, s objstore.Store) {
	for _, size := range []int{0, 1, 4096, 1<<20 + 3} {
		key := fmt.Sprintf("default/clicks/data/%d.parquet", size)
		body := bytes.Repeat([]byte("firn."), size/5+1)[:size]
		wrote := put(t, s, key, string(body), absent)
		got, read, err := s.Get(t.Context(), key)
		if err != nil || !bytes.Equal(got, body) {
			t.Fatalf("get of %d bytes: %d bytes, %v", size, len(got), err)
		}
		head, err := s.Head(t.Context(), key)
		if err != nil {
			t.Fatalf("head: %v", err)
		}
		for what, info := range map[string]objstore.Info{"put": wrote, "get": read, "head": head} {
			if info.Key != key || info.Size != int64(size) || info.ETag == "" || info.ETag != wrote.ETag {
				t.Errorf("%s of %d bytes describes %+v, put said %+v", what, size, info, wrote)
			}
			if info.Checksum != "" && info.Checksum != objstore.Checksum(body) {
				t.Errorf("%s of %d bytes: checksum %q, want %q", what, size, info.Checksum, objstore.Checksum(body))
			}
		}
		if head.Modified.IsZero() {
			t.Errorf("head of %d bytes says no time", size)
		}
		if loc := objstore.Location(s, key); loc != s.Root()+"/"+key {
			t.Errorf("location %q", loc)
		} else if back, ok := objstore.Key(s, loc); !ok || back != key {
			t.Errorf("key of location %q is %q, %v", loc, back, ok)
		}
	}
}

func readAt(t *testing.T, s objstore.Store) {
	put(t, s, "a/object", "0123456789", absent)
	f := func(off int64, n int, want string, wantErr error) {
		t.Helper()
		p := make([]byte, n)
		got, err := s.ReadAt(t.Context(), "a/object", p, off)
		if string(p[:got]) != want || !errors.Is(err, wantErr) {
			t.Errorf("read %d bytes at %d = %q, %v; want %q, %v", n, off, p[:got], err, want, wantErr)
		}
	}
	f(0, 10, "0123456789", nil)
	f(3, 4, "3456", nil)
	f(9, 1, "9", nil)
	f(7, 10, "789", io.EOF)
	f(10, 1, "", io.EOF)
	f(1000, 1, "", io.EOF)
	if _, err := s.ReadAt(t.Context(), "a/object", make([]byte, 1), -1); err == nil {
		t.Error("a negative position was read")
	}
	all, err := io.ReadAll(io.NewSectionReader(objstore.ReaderAt(t.Context(), s, "a/object"), 2, 5))
	if string(all) != "23456" || err != nil {
		t.Errorf("section = %q, %v", all, err)
	}
}

func conditions(t *testing.T, s objstore.Store) {
	first := put(t, s, "k", "one", absent)
	_, err := s.Put(t.Context(), "k", []byte("two"), absent)
	wantError(t, "exclusive put of what exists", err, objstore.ErrPrecondition)
	wantBody(t, s, "k", "one")

	second := put(t, s, "k", "two", objstore.Condition{ETag: first.ETag})
	_, err = s.Put(t.Context(), "k", []byte("three"), objstore.Condition{ETag: first.ETag})
	wantError(t, "put over another version", err, objstore.ErrPrecondition)
	wantBody(t, s, "k", "two")

	put(t, s, "k", "three", objstore.Condition{})
	_, err = s.Put(t.Context(), "k", []byte("four"), objstore.Condition{ETag: second.ETag})
	wantError(t, "put over a version that was overwritten", err, objstore.ErrPrecondition)
	wantBody(t, s, "k", "three")

	_, err = s.Put(t.Context(), "none", []byte("x"), objstore.Condition{ETag: second.ETag})
	wantError(t, "conditional put of a missing key", err, objstore.ErrPrecondition)
	if _, err = s.Put(t.Context(), "k", []byte("x"), objstore.Condition{Absent: true, ETag: second.ETag}); err == nil {
		t.Error("a condition that cannot hold was accepted")
	}
	if err := s.Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	put(t, s, "k", "again", absent)
	wantBody(t, s, "k", "again")
}

// etags: versions that differ must differ in their ETag, however quickly they follow each other.
func etags(t *testing.T, s objstore.Store) {
	seen := map[string]string{}
	for i := range 64 {
		body := fmt.Sprintf("%02d", i) // all of one size
		etag := put(t, s, "metadata/version-hint.text", body, objstore.Condition{}).ETag
		if before, dup := seen[etag]; dup {
			t.Fatalf("versions %q and %q have the ETag %s", before, body, etag)
		}
		seen[etag] = body
	}
}

func missing(t *testing.T, s objstore.Store) {
	put(t, s, "folder/object", "x", absent)
	for _, key := range []string{"none", "folder", "folder/none", "folder/object/below"} {
		_, _, err := s.Get(t.Context(), key)
		wantError(t, "get "+key, err, objstore.ErrNotExist)
		_, err = s.Head(t.Context(), key)
		wantError(t, "head "+key, err, objstore.ErrNotExist)
		_, err = s.ReadAt(t.Context(), key, make([]byte, 1), 0)
		wantError(t, "read "+key, err, objstore.ErrNotExist)
		if err := s.Delete(t.Context(), key); err != nil {
			t.Errorf("delete %s: %v", key, err)
		}
	}
	wantBody(t, s, "folder/object", "x")
}

func badKeys(t *testing.T, s objstore.Store) {
	for _, key := range []string{
		"", "/a", "a/", "a//b", "..", "../a", "a/../b", "a/..", ".", "./a", "a/./b", "a\x00b", "a\nb", "\xff",
		strings.Repeat("x", 256), strings.Repeat("x/", 600) + "x", ".firn-tmp/a", ".firn-tmp",
	} {
		if _, err := s.Put(t.Context(), key, nil, absent); err == nil {
			t.Errorf("put %.20q was accepted", key)
		}
		if _, _, err := s.Get(t.Context(), key); err == nil || errors.Is(err, objstore.ErrNotExist) {
			t.Errorf("get %.20q: %v, want a refusal of the key", key, err)
		}
		if _, err := s.Head(t.Context(), key); err == nil || errors.Is(err, objstore.ErrNotExist) {
			t.Errorf("head %.20q: %v, want a refusal of the key", key, err)
		}
		if err := s.Delete(t.Context(), key); err == nil {
			t.Errorf("delete %.20q was accepted", key)
		}
	}
}

func oddKeys(t *testing.T, s objstore.Store) {
	keys := []string{
		"data/event_time_hour=2026-11-23-06/partition=3/a.parquet", "with space/and+plus", "percent%2Fescaped", "a/%41",
		"…/ünïcode", ".hidden/..x", "_firn/rejected/x", "a/.firn-tmp/x", "q?x=1&y#z", `back\slash`, strings.Repeat("n", 255),
	}
	for _, key := range keys {
		put(t, s, key, "body of "+key, absent)
	}
	for _, key := range keys {
		wantBody(t, s, key, "body of "+key)
	}
	slices.Sort(keys)
	if got := listed(t, s, ""); !slices.Equal(got, keys) {
		t.Errorf("listed %q, want %q", got, keys)
	}
}

func deletes(t *testing.T, s objstore.Store) {
	for _, key := range []string{"a/1", "a/2", "a/3", "b"} {
		put(t, s, key, key, absent)
	}
	for range 2 { // the second time there is nothing left to delete
		if err := s.Delete(t.Context(), "a/1", "a/3", "never/was"); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Delete(t.Context()); err != nil {
		t.Fatalf("delete of nothing: %v", err)
	}
	if got := listed(t, s, ""); !slices.Equal(got, []string{"a/2", "b"}) {
		t.Errorf("left: %q", got)
	}
}

func listed(t *testing.T, s objstore.Store, prefix string) []string {
	t.Helper()
	var keys []string
	err := s.List(t.Context(), prefix, func(info objstore.Info) error {
		keys = append(keys, info.Key)
		return nil
	})
	if err != nil {
		t.Fatalf("list %q: %v", prefix, err)
	}
	return keys
}

func list(t *testing.T, s objstore.Store) {
	all := []string{ // in byte order: '-' and '.' before '/', '/' before '0'
		"a-b/1", "a.b", "a/b-c/1", "a/b/1", "a/b/10", "a/b/2", "a/b0", "a0", "b/metadata/v1.metadata.json", "b/metadata/v10.metadata.json",
		"b/metadata/v2.metadata.json", "b/metadata/version-hint.text",
	}
	for i := range all {
		put(t, s, all[(i*5)%len(all)], fmt.Sprint(i), absent)
	}
	for _, prefix := range []string{"", "a", "a/", "a/b", "a/b/", "a/b/1", "b/metadata/v", "b/metadata/v1", "c", "a/b/1/", "/", "../", "a//", ".firn-tmp/"} {
		want := slices.DeleteFunc(slices.Clone(all), func(key string) bool { return !strings.HasPrefix(key, prefix) })
		if got := listed(t, s, prefix); !slices.Equal(got, want) {
			t.Errorf("list %q = %q, want %q", prefix, got, want)
		}
	}
	stop := errors.New("enough")
	n := 0
	err := s.List(t.Context(), "a/", func(info objstore.Info) error {
		if n++; n == 2 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || n != 2 {
		t.Errorf("stopped list: %d objects, %v", n, err)
	}
	err = s.List(t.Context(), "a.b", func(info objstore.Info) error {
		if info.Size != int64(len("11")) && info.Size != 1 || info.Modified.IsZero() {
			t.Errorf("list says %+v", info)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func folders(t *testing.T, s objstore.Store) {
	for _, key := range []string{"default/clicks/metadata/v1", "default/clicks/data/x", "default/a-b/x", "default/a/x", "default/file", "other/t/x", "top"} {
		put(t, s, key, "", absent)
	}
	f := func(prefix string, want ...string) {
		t.Helper()
		var got []string
		err := objstore.Folders(t.Context(), s, prefix, func(name string) error {
			got = append(got, name)
			return nil
		})
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("folders of %q = %q, %v; want %q", prefix, got, err, want)
		}
	}
	f("", "default", "other")
	f("default/", "a-b", "a", "clicks")
	f("default/clicks/", "data", "metadata")
	f("default/clicks/data/")
	f("none/")
}

func cancelled(t *testing.T, s objstore.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Put(ctx, "k", []byte("x"), absent); !errors.Is(err, context.Canceled) {
		t.Errorf("put: %v", err)
	}
	if _, err := s.Head(t.Context(), "k"); !errors.Is(err, objstore.ErrNotExist) {
		t.Errorf("a put that was cancelled before it began left: %v", err)
	}
	put(t, s, "k", "x", absent)
	if _, _, err := s.Get(ctx, "k"); !errors.Is(err, context.Canceled) {
		t.Errorf("get: %v", err)
	}
	if err := s.List(ctx, "", func(objstore.Info) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("list: %v", err)
	}
}

func bodyIsNotKept(t *testing.T, s objstore.Store) {
	body := []byte("before")
	if _, err := s.Put(t.Context(), "k", body, absent); err != nil {
		t.Fatal(err)
	}
	copy(body, "after!")
	got, _, err := s.Get(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	copy(got, "other!")
	wantBody(t, s, "k", "before")
}

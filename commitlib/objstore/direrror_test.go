package objstore

import (
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestExplain(t *testing.T) {
	f := func(err error, want string, noSpace bool) {
		t.Helper()
		got := explain(err)
		if !strings.Contains(got.Error(), want) || errors.Is(got, ErrNoSpace) != noSpace || !errors.Is(got, err) {
			t.Errorf("explain(%v) = %v, want %q in it; no space: %v", err, got, want, noSpace)
		}
	}
	open := func(errno unix.Errno) error { return &os.PathError{Op: "open", Path: "/w/x", Err: errno} }
	link := func(errno unix.Errno) error { return &os.LinkError{Op: "link", Old: "/w/a", New: "/w/b", Err: errno} }
	f(open(unix.ENOSPC), "no space", true)
	f(open(unix.EDQUOT), "quota", true)
	f(open(unix.EACCES), "give the user", false)
	f(open(unix.EPERM), "give the user", false)
	f(link(unix.EPERM), "hard links", false)
	f(link(unix.EOPNOTSUPP), "hard links", false)
	f(link(unix.EXDEV), "another file system", false)
	f(open(unix.EROFS), "remount", false)
	f(open(unix.ENOTDIR), "choose keys", false)
	f(open(unix.EIO), "input/output", false)
}

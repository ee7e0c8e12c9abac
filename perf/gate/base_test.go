package gate

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// history is a repository for one test, on a branch main.
type history struct {
	*testing.T
	dir     string
	commits int
}

func newHistory(t *testing.T) *history {
	h := &history{T: t, dir: t.TempDir()}
	// No configuration of whoever runs the test: it may sign commits, or run hooks.
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	t.Setenv("GIT_CONFIG_SYSTEM", os.DevNull)
	for _, name := range []string{"AUTHOR", "COMMITTER"} {
		t.Setenv("GIT_"+name+"_NAME", "test")
		t.Setenv("GIT_"+name+"_EMAIL", "test@example.org")
	}
	h.git("init", "-q", "-b", "main")
	return h
}

func (h *history) git(args ...string) string {
	h.Helper()
	out, err := git(h.Context(), h.dir, args...)
	if err != nil {
		h.Fatal(err)
	}
	return out
}

// commit makes a commit of all that lies in the folder, and returns its id.
func (h *history) commit() string {
	h.Helper()
	h.git("add", "-A")
	h.commits++ // equal commits of one second are one
	h.git("commit", "-q", "--allow-empty", "-m", strconv.Itoa(h.commits))
	return h.git("rev-parse", "HEAD")
}

// write puts a file into the working tree.
func (h *history) write(name, text string) {
	h.Helper()
	path := filepath.Join(h.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		h.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		h.Fatal(err)
	}
}

// base is what FindBase must find, by commit and a word of its reason; none where commit is empty.
func (h *history) base(asked, commit, why string) {
	h.Helper()
	got, err := FindBase(h.Context(), h.dir, asked)
	if commit == "" {
		if !errors.Is(err, ErrNoBase) || !strings.Contains(err.Error(), why) {
			h.Errorf("base: %v, %v; want none, and %q said", got, err, why)
		}
		return
	}
	if err != nil || got.Commit != commit || !strings.Contains(got.Why, why) {
		h.Errorf("base: %v, %v; want %s, and %q said", got, err, commit, why)
	}
}

func TestFindBase(t *testing.T) {
	t.Run("a branch", func(t *testing.T) {
		h := newHistory(t)
		first := h.commit()
		fork := h.commit()
		h.git("checkout", "-q", "-b", "faster")
		h.commit()
		h.base("", fork, "refs/heads/main")
		h.git("checkout", "-q", "main")
		h.commit()
		h.git("checkout", "-q", "faster")
		h.base("", fork, "refs/heads/main") // main moved on
		h.base(first, first, "asked")
		h.base("main~2", first, "asked")
		if _, err := FindBase(t.Context(), h.dir, "nowhere"); err == nil || errors.Is(err, ErrNoBase) {
			t.Errorf("base nowhere: %v, want an error of its own", err)
		}
	})
	t.Run("commits on main that were not pushed", func(t *testing.T) {
		h := newHistory(t)
		pushed := h.commit()
		h.git("update-ref", "refs/remotes/origin/main", pushed)
		h.commit()
		h.base("", pushed, "refs/remotes/origin/main")
	})
	t.Run("main", func(t *testing.T) {
		h := newHistory(t)
		h.commit()
		h.base("", "", baseFile) // nothing is recorded
		recorded := h.commit()
		strange := strings.Repeat("0", 40)
		h.write(baseFile, "# newest first\n\n"+strange+" of another history\n"+recorded+" a note\n")
		head := h.commit()
		h.base("", recorded, "recorded")
		h.git("update-ref", "refs/remotes/origin/main", head)
		h.base("", recorded, "recorded")
		h.write(baseFile, head+" HEAD itself is no base\n"+recorded+"\n")
		h.base("", recorded, "recorded")
		h.write(baseFile, "abc123 too short\n")
		if _, err := FindBase(t.Context(), h.dir, ""); err == nil || errors.Is(err, ErrNoBase) || !strings.Contains(err.Error(), baseFile+":1") {
			t.Errorf("a short id: %v, want the line", err)
		}
	})
	t.Run("a shallow clone", func(t *testing.T) {
		h := newHistory(t)
		recorded := h.commit()
		h.write(baseFile, recorded+"\n")
		h.commit()
		shallow := filepath.Join(t.TempDir(), "clone")
		h.git("clone", "-q", "--depth", "1", "file://"+h.dir, shallow)
		(&history{T: t, dir: shallow}).base("", "", "--unshallow")
		whole := filepath.Join(t.TempDir(), "clone")
		h.git("clone", "-q", "file://"+h.dir, whole)
		(&history{T: t, dir: whole}).base("", recorded, "recorded")
	})
}

// Only what the base did not have is accepted, and a line that is wrong is told of.
func TestAccepted(t *testing.T) {
	h := newHistory(t)
	base := Base{Commit: h.commit()}
	f := func(text string, want map[string]float64) {
		t.Helper()
		h.write(acceptedFile, text)
		got, err := accepted(t.Context(), h.dir, base)
		if err != nil || !maps.EqualFunc(got, want, func(a, b float64) bool { return a-b < 1e-9 && b-a < 1e-9 }) {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
	if got, err := accepted(t.Context(), h.dir, base); err != nil || len(got) > 0 {
		t.Errorf("without a file: %v, %v", got, err)
	}
	const old = "# what was meant\ncommit 1.5 checks more\n"
	f(old, map[string]float64{"commit": 0.5})
	base.Commit = h.commit()
	f(old, nil)
	f(old+"decode 1.2 looks twice\n", map[string]float64{"decode": 0.2})
	f(old+"decode 1.2 looks twice\ndecode 1.5 looks again\n", map[string]float64{"decode": 0.8})
	for _, wrong := range []string{"decode 1.2", "decode fast for a reason", "decode 0.9 faster", "decode 99 why not"} {
		h.write(acceptedFile, old+wrong+"\n")
		if got, err := accepted(t.Context(), h.dir, base); err == nil || !strings.Contains(err.Error(), acceptedFile+":3") {
			t.Errorf("%q: %v, %v; want an error with its line", wrong, got, err)
		}
	}
}

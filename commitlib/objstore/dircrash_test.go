package objstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const crashRoot = "/data/warehouse"

// step is one Put of a scenario, or one Create with two Writes, and what came of it.
type step struct {
	key  string
	body string
	made bool                        // by Create
	cond func(etag string) Condition // of the version that the key has by then
	err  error
	done bool
}

func scenario() []*step {
	exclusive := func(string) Condition { return Condition{Absent: true} }
	ifMatch := func(etag string) Condition { return Condition{ETag: etag} }
	over := func(string) Condition { return Condition{} }
	return []*step{
		{key: "default/clicks/metadata/v1.metadata.json", body: strings.Repeat("one", 100), cond: exclusive},
		{key: "default/clicks/metadata/version-hint.text", body: "1", cond: exclusive},
		{key: "default/clicks/metadata/v2.metadata.json", body: strings.Repeat("two", 100), cond: exclusive},
		{key: "default/clicks/metadata/version-hint.text", body: "2", cond: ifMatch},
		{key: "default/clicks/data/p=1/a.parquet", body: strings.Repeat("PAR1", 50), cond: exclusive},
		{key: "default/clicks/metadata/version-hint.text", body: "3", cond: over},
		{key: "default/clicks/data/p=2/b.parquet", body: strings.Repeat("PAR2", 70), made: true, cond: exclusive},
		{key: "default/clicks/data/p=2/b.parquet", body: strings.Repeat("PAR3", 80), made: true, cond: ifMatch},
	}
}

// put does a step.
func (s *step) put(d *Dir, etag string) (Info, error) {
	if !s.made {
		return d.Put(context.Background(), s.key, []byte(s.body), s.cond(etag))
	}
	w, err := d.Create(context.Background(), s.key, s.cond(etag))
	if err != nil {
		return Info{}, err
	}
	_, err = w.Write([]byte(s.body[:100]))
	if err == nil {
		_, err = w.Write([]byte(s.body[100:]))
	}
	info, closing := w.Close()
	if err != nil && !errors.Is(closing, err) {
		return Info{}, fmt.Errorf("%w: a write said %v, and then its close %v", ErrUnknown, err, closing)
	}
	return info, closing
}

// run opens the store and puts each step until the process dies.
func run(p *process, steps []*step) {
	d, err := openDir(crashRoot, p.syscalls(), p.fs.now)
	if err != nil {
		return
	}
	etags := map[string]string{}
	for _, s := range steps {
		info, err := s.put(d, etags[s.key])
		s.err, s.done = err, true
		if p.dead {
			return
		}
		if err == nil {
			etags[s.key] = info.ETag
		} else if head, err := d.Head(context.Background(), s.key); err == nil {
			etags[s.key] = head.ETag // the caller looks again
		}
	}
}

// check opens what a crash left and looks at every key: nothing cut short, nothing lost that was confirmed, nothing
// there that was said not to be; and every name is usable.
func check(t *testing.T, fs *crashFS, steps []*step, dead bool) {
	t.Helper()
	p := &process{fs: fs}
	d, err := openDir(crashRoot, p.syscalls(), fs.now)
	if err != nil {
		t.Fatalf("open afterwards: %v", err)
	}
	const none = "no object"
	possible := map[string]map[string]bool{} // what each key may hold
	for _, s := range steps {
		was := possible[s.key]
		if was == nil {
			was = map[string]bool{none: true}
			possible[s.key] = was
		}
		last := dead && (!s.done || s.err != nil)
		switch {
		case s.done && s.err == nil:
			possible[s.key] = map[string]bool{s.body: true}
		case last || errors.Is(s.err, ErrUnknown):
			was[s.body] = true
		}
	}
	for key, allowed := range possible {
		body, info, err := d.Get(context.Background(), key)
		if err != nil && !errors.Is(err, ErrNotExist) {
			t.Fatalf("get %s: %v", key, err)
		}
		holds := string(body)
		if err != nil {
			holds = none
		}
		if !allowed[holds] {
			t.Errorf("%s holds %.12q (%d bytes), allowed: %.40v", key, holds, len(body), allowed)
		}
		_, err = d.Put(context.Background(), key, []byte("anew"), Condition{Absent: true})
		if exists := info.Key != ""; exists != errors.Is(err, ErrPrecondition) || !exists && err != nil {
			t.Errorf("exclusive put of %s, which exists: %v: %v", key, exists, err)
		}
		if _, err = d.Put(context.Background(), key, []byte("over"), Condition{}); err != nil {
			t.Errorf("put over %s: %v", key, err)
		}
	}
	fs.advance(2 * tempAge)
	if _, err := openDir(crashRoot, p.syscalls(), fs.now); err != nil {
		t.Fatal(err)
	}
	for name := range fs.names {
		if strings.HasPrefix(name, d.temp+"/") && name != d.lockFile() {
			t.Errorf("%s is left after %v", name, 2*tempAge)
		}
	}
}

// TestDirCrash lets each single system call of a scenario go wrong in every way, alone and with the one after
// it, and looks at what is there afterwards: in the running system, and after a power cut that loses all, or
// a random part, of what was not synced.
func TestDirCrash(t *testing.T) {
	clean := &process{fs: newCrashFS()}
	steps := scenario()
	run(clean, steps)
	for _, s := range steps {
		if s.err != nil {
			t.Fatalf("without faults: %s: %v", s.key, s.err)
		}
	}
	check(t, clean.fs.powerCut(nil), steps, false)
	t.Logf("%d system calls", clean.calls)

	for how, name := range map[failure]string{errorBefore: "error before", errorAfter: "error after", killBefore: "kill before", killAfter: "kill after"} {
		t.Run(name, func(t *testing.T) {
			for k := 1; k <= clean.calls; k++ {
				for failFor := 1; failFor <= 2; failFor++ {
					for variant := range 4 {
						p := &process{fs: newCrashFS(), failAt: k, failFor: failFor, how: how}
						steps := scenario()
						run(p, steps)
						dead := p.dead || how == killBefore || how == killAfter
						seed := uint64(k*100 + failFor*10 + variant)
						fs := p.fs
						switch variant {
						case 0: // the machine runs on
							fs.locks = map[string]bool{} // the kernel drops a dead process's locks
						case 1:
							fs = fs.powerCut(nil)
						default:
							fs = fs.powerCut(rand.New(rand.NewPCG(seed, 1)))
						}
						check(t, fs, steps, dead)
						if t.Failed() {
							t.Fatalf("call %d (%s), %d in a row, variant %d, seed %d", k, p.lastCall, failFor, variant, seed)
						}
					}
				}
			}
		})
	}
}

// TestDirSeenIsDurable: what another process can read at any moment of a Put outlives a power cut at that moment.
// Without that, whoever read a commit and trimmed his log by it would have lost both.
func TestDirSeenIsDurable(t *testing.T) {
	for _, read := range []string{"head", "get"} {
		fs := newCrashFS()
		if _, err := openDir(crashRoot, (&process{fs: fs}).syscalls(), fs.now); err != nil {
			t.Fatal(err)
		}
		writer := &process{fs: fs}
		steps := scenario()
		seen, early := 0, 0
		writer.observe = func() {
			for _, s := range steps {
				reader, err := openDir(crashRoot, (&process{fs: fs}).syscalls(), fs.now)
				if err != nil {
					t.Fatal(err)
				}
				var sum string
				if read == "head" {
					info, err2 := reader.Head(context.Background(), s.key)
					sum, err = info.Checksum, err2
				} else {
					_, info, err2 := reader.Get(context.Background(), s.key)
					sum, err = info.Checksum, err2
				}
				if errors.Is(err, ErrNotExist) {
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				seen++
				if !s.done {
					early++
				}
				after := fs.powerCut(nil)
				survivor, err := openDir(crashRoot, (&process{fs: after}).syscalls(), after.now)
				if err != nil {
					t.Fatal(err)
				}
				info, err := survivor.Head(context.Background(), s.key)
				if err != nil || info.Checksum != sum {
					t.Fatalf("%s was seen at call %d and is after the power cut: %v", s.key, writer.calls, err)
				}
			}
		}
		run(writer, steps)
		if early == 0 {
			t.Errorf("%s: no object was seen before its Put returned; the test shows nothing (%d seen)", read, seen)
		}
	}
}

// TestDirFolderMadeByAnother: a folder that another process made and did not sync yet must not take our objects with
// it.
func TestDirFolderMadeByAnother(t *testing.T) {
	fs := newCrashFS()
	p := &process{fs: fs}
	d, err := openDir(crashRoot, p.syscalls(), fs.now)
	if err != nil {
		t.Fatal(err)
	}
	sys := (&process{fs: fs}).syscalls()
	for _, folder := range []string{"/default", "/default/clicks", "/default/clicks/data"} {
		if err := sys.mkdir(crashRoot + folder); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.Put(t.Context(), "default/clicks/data/a", []byte("x"), Condition{Absent: true}); err != nil {
		t.Fatal(err)
	}
	after := fs.powerCut(nil)
	survivor, err := openDir(crashRoot, (&process{fs: after}).syscalls(), after.now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := survivor.Head(t.Context(), "default/clicks/data/a"); err != nil {
		t.Errorf("a confirmed object is gone: %v", err)
	}
}

// TestDirFolderRemoved: folders that were removed under a running process are made, and made durable, again.
func TestDirFolderRemoved(t *testing.T) {
	for _, cond := range []Condition{{Absent: true}, {}} {
		fs := newCrashFS()
		d, err := openDir(crashRoot, (&process{fs: fs}).syscalls(), fs.now)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Put(t.Context(), "a/b/1", []byte("x"), cond); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"/a/b/1", "/a/b", "/a"} {
			delete(fs.names, crashRoot+name)
		}
		fs.names[crashRoot].durable = fs.children(crashRoot)
		if _, err := d.Put(t.Context(), "a/b/2", []byte("y"), cond); err != nil {
			t.Fatal(err)
		}
		after := fs.powerCut(nil)
		survivor, err := openDir(crashRoot, (&process{fs: after}).syscalls(), after.now)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := survivor.Head(t.Context(), "a/b/2"); err != nil {
			t.Errorf("%+v: a confirmed object is gone: %v", cond, err)
		}
	}
}

// TestDirFullDisk: ENOSPC and EDQUOT at every call are ErrNoSpace, or ErrUnknown once the name may be there.
func TestDirFullDisk(t *testing.T) {
	for _, full := range []error{unix.ENOSPC, unix.EDQUOT} {
		clean := &process{fs: newCrashFS()}
		d, err := openDir(crashRoot, clean.syscalls(), clean.fs.now)
		if err != nil {
			t.Fatal(err)
		}
		before := clean.calls
		if _, err := d.Put(t.Context(), "a/b", []byte("body"), Condition{Absent: true}); err != nil {
			t.Fatal(err)
		}
		noSpace := 0
		for k := before + 1; k <= clean.calls; k++ {
			p := &process{fs: newCrashFS(), failAt: k, how: errorBefore, err: full}
			d, err := openDir(crashRoot, p.syscalls(), p.fs.now)
			if err != nil {
				t.Fatal(err)
			}
			_, err = d.Put(t.Context(), "a/b", []byte("body"), Condition{Absent: true})
			_, there := p.fs.names[crashRoot+"/a/b"]
			switch {
			case err == nil && there, errors.Is(err, ErrUnknown) && there:
			case errors.Is(err, ErrNoSpace) && !there && errors.Is(err, full):
				noSpace++
			default:
				t.Errorf("%v at %s: %v; there: %v", full, p.lastCall, err, there)
			}
		}
		if noSpace < 4 {
			t.Errorf("only %d calls told of a full disk", noSpace)
		}
	}
}

// TestDirStaleTemps: an opener removes what a crash left long ago, and leaves alone what may be another's work.
func TestDirStaleTemps(t *testing.T) {
	fs := newCrashFS()
	p := &process{fs: fs}
	d, err := openDir(crashRoot, p.syscalls(), fs.now)
	if err != nil {
		t.Fatal(err)
	}
	old, _, err := d.writeTemp([]byte("old"))
	if err != nil {
		t.Fatal(err)
	}
	fs.advance(tempAge - time.Minute)
	young, st, err := d.writeTemp([]byte("young"))
	if err != nil {
		t.Fatal(err)
	}
	fs.advance(2 * time.Minute)
	if _, err := openDir(crashRoot, p.syscalls(), fs.now); err != nil {
		t.Fatal(err)
	}
	if fs.names[old] != nil || fs.names[young] == nil {
		t.Errorf("old temporary file is there: %v; young one: %v", fs.names[old] != nil, fs.names[young] != nil)
	}
	// One that was taken too early costs its writer an error and no object.
	fs.advance(2 * tempAge)
	if _, err := openDir(crashRoot, p.syscalls(), fs.now); err != nil {
		t.Fatal(err)
	}
	err = d.publish(t.Context(), young, "a/b", st, Condition{Absent: true})
	if err == nil || errors.Is(err, ErrUnknown) || errors.Is(err, ErrPrecondition) {
		t.Errorf("publishing a removed temporary file: %v", err)
	}
	if _, err := d.Head(t.Context(), "a/b"); !errors.Is(err, ErrNotExist) {
		t.Errorf("head: %v", err)
	}
}

func ExampleCheckKey() {
	fmt.Println(CheckKey("default/../secret"))
	// Output: object key "default/../secret": has the element "..", which would leave the store
}

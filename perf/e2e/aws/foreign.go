package aws

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"firn/perf/e2e"
	"firn/perf/spawn"
)

// foreignEnd is how long the foreign client may take to end: it finishes what it does, and starts Python's slowest
// part.
const foreignEnd = time.Minute

// foreign is PyIceberg at work on a table beside Firn (perf/readers/foreign.py).
type foreign struct {
	t     testing.TB
	table string
	cmd   *exec.Cmd
	stdin io.Closer
	ended chan struct{}   // closed when its standard output ends
	text  strings.Builder // its standard error; read after its end

	mu       sync.Mutex      // what follows
	appended map[string]bool // payloads of its rows
	columns  []string        // that it added
	expired  int             // snapshots
	last     *deed           // what it said at its end
}

// deed is one thing that the client did.
type deed struct {
	Op        string
	N         int
	Snapshots int
	Column    string
	Conflicts int
	Columns   []string
}

// startForeign starts the client on a table that may not exist yet.
func (p *pipeline) startForeign(seed uint64, table string) *foreign {
	p.t.Helper()
	f := &foreign{t: p.t, table: table, appended: make(map[string]bool), ended: make(chan struct{})}
	f.cmd = e2e.PythonCommand(p.t, p.catalog.reader.Env, "foreign.py", fmt.Sprint(seed), p.catalog.reader.Name(table))
	in, err := f.cmd.StdinPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	out, err := f.cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	f.stdin, f.cmd.Stderr = in, &f.text
	if err := spawn.Start(f.cmd); err != nil {
		p.t.Fatal(err)
	}
	go func() {
		defer close(f.ended)
		for s := bufio.NewScanner(out); s.Scan(); {
			f.note(s.Bytes())
		}
	}()
	p.t.Cleanup(func() { f.cmd.Process.Kill() })
	return f
}

// note takes up one line of the client's.
func (f *foreign) note(line []byte) {
	var did deed
	if err := json.Unmarshal(line, &did); err != nil {
		f.t.Errorf("the foreign client says %q: %v", line, err)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch did.Op {
	case "append":
		f.appended[fmt.Sprintf(`{"foreign":%d}`, did.N)] = true
	case "expire":
		f.expired += did.Snapshots
	case "evolve":
		f.columns = append(f.columns, did.Column)
	case "end":
		f.last = &did
	}
}

// busy says whether the client has done something of each kind by now.
func (f *foreign) busy() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.appended) >= 3 && f.expired > 0 && len(f.columns) > 0
}

// end has the client finish.
func (f *foreign) end() {
	f.t.Helper()
	f.stdin.Close()
	late := time.AfterFunc(foreignEnd, func() { f.cmd.Process.Kill() })
	defer late.Stop()
	<-f.ended
	if err := f.cmd.Wait(); err != nil || f.last == nil {
		f.t.Fatalf("the foreign client: %v\n%s", err, f.text.String())
	}
	f.t.Logf("%s: the foreign client appended %d times, expired %d snapshots, added %d columns, met %d conflicts; %d snapshots are left",
		f.table, len(f.appended), f.expired, len(f.columns), f.last.Conflicts, f.last.Snapshots)
	for _, c := range f.columns {
		if !slices.Contains(f.last.Columns, c) {
			f.t.Errorf("%s: column %s, which the foreign client added, is gone from %v", f.table, c, f.last.Columns)
		}
	}
}

// sift passes on the rows that are not the foreign client's; check wants each of its own to be there once.
func (f *foreign) sift(fn func(e2e.Row)) (sifted func(e2e.Row), check func(engine string)) {
	seen := make(map[string]int)
	sifted = func(r e2e.Row) {
		if r.Log == "foreign" {
			seen[r.Payload]++
			return
		}
		fn(r)
	}
	check = func(engine string) {
		for payload := range f.appended {
			if seen[payload] != 1 {
				f.t.Errorf("%s: %s: the foreign client's %s is there %d times, want once", engine, f.table, payload, seen[payload])
			}
		}
		for payload := range seen {
			if !f.appended[payload] {
				f.t.Errorf("%s: %s: the foreign client was told that %s did not get in, and it is there", engine, f.table, payload)
			}
		}
	}
	return sifted, check
}

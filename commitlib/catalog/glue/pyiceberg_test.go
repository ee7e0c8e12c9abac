package glue_test

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"firn/perf/peer"
	"firn/perf/spawn"
)

// python is the interpreter that has PyIceberg and boto3.
func python(t *testing.T) string {
	t.Helper()
	path := os.Getenv("FIRN_PYTHON")
	if path == "" {
		path = filepath.Join(peer.Root(), ".venv", "bin", "python")
	}
	if _, err := exec.LookPath(path); err != nil {
		t.Fatalf("no Python with PyIceberg: run `make venv`, or set FIRN_PYTHON: %v", err)
	}
	return path
}

// theirs is a process of PyIceberg's, a user of the same Glue account and warehouse. It ends with its standard input.
type theirs struct {
	t      *testing.T
	in     io.WriteCloser
	out    *bufio.Scanner
	answer chan []byte // to the step under way
}

func startTheirs(t *testing.T, env ...string) *theirs {
	t.Helper()
	cmd := exec.Command(python(t), "-B", "testdata/glue_client.py")
	cmd.Env = append(peer.CleanEnv(), env...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := spawn.Start(cmd); err != nil {
		t.Fatal(err)
	}
	p := &theirs{t: t, in: in, out: bufio.NewScanner(out)}
	p.out.Buffer(nil, 64<<20)
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil && !t.Failed() {
			t.Errorf("PyIceberg's process: %v", err)
		}
	})
	return p
}

// step is one call of the script's.
type step map[string]any

// do runs a step to its end and decodes its answer into out unless that is nil.
func (p *theirs) do(s step, out any) {
	p.t.Helper()
	p.begin(s)
	p.end(out)
}

// begin starts a step; answered says whether it has ended, and end waits for that.
func (p *theirs) begin(s step) {
	p.t.Helper()
	line, err := json.Marshal(s)
	if err == nil {
		_, err = p.in.Write(append(line, '\n'))
	}
	if err != nil {
		p.t.Fatal(err)
	}
	answer := make(chan []byte, 1)
	p.answer = answer // the next step's, by the time this one's is closed
	go func() {
		if p.out.Scan() {
			answer <- p.out.Bytes()
		}
		close(answer)
	}()
}

func (p *theirs) answered() bool { return len(p.answer) > 0 }

func (p *theirs) end(out any) {
	p.t.Helper()
	line, ok := <-p.answer
	if !ok {
		p.t.Fatal("PyIceberg's process ended; it says above why")
	}
	if out != nil {
		if err := json.Unmarshal(line, out); err != nil {
			p.t.Fatal(err)
		}
	}
}

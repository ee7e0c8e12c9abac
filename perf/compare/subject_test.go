package compare

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"

	"firn/perf/peer"
	"firn/perf/spawn"
)

// job is what a subject is asked for: the part of it that it knows.
type job struct {
	Message []byte `json:"message,omitempty"` // Firn's commit request
	Group   string `json:"group,omitempty"`
	Files   []file `json:"files,omitempty"` // the same for the others
	To      string `json:"to,omitempty"`    // a file to put what was encoded into
	Query   string `json:"query,omitempty"`
}

// file is a data file with its statistics, by column id.
type file struct {
	Path        string         `json:"path"`
	Hour        int32          `json:"hour"`
	Records     int64          `json:"records"`
	Size        int64          `json:"size"`
	ColumnSizes map[int]int64  `json:"column_sizes"`
	Values      map[int]int64  `json:"values"`
	Nulls       map[int]int64  `json:"nulls"`
	Lower       map[int][]byte `json:"lower"`
	Upper       map[int][]byte `json:"upper"`
}

// answer is what a job took.
type answer struct {
	Wall  int64    `json:"wall_ns"`
	CPU   int64    `json:"cpu_ns"` // of all threads
	Bytes int      `json:"bytes"`
	Rows  []string `json:"rows"`
	Error string   `json:"error"`
}

// subject is a program that is measured. It lives until the test ends.
type subject struct {
	name string
	cmd  *exec.Cmd
	in   io.Writer
	out  *bufio.Reader
	text *strings.Builder // its standard error

	wall, cpu []float64 // nanoseconds, of the rounds that count
	bytes     int
	requests  map[string]int // of each of those rounds
}

func start(t *testing.T, name string, cmd *exec.Cmd, env []string) *subject {
	t.Helper()
	s := &subject{name: name, cmd: cmd, text: &strings.Builder{}}
	cmd.Env, cmd.Stderr = append(peer.CleanEnv(), env...), s.text
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.in, s.out = in, bufio.NewReader(out)
	if err := spawn.Start(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Wait() // how it ended no longer matters
	})
	s.answer(t)
	return s
}

// do has the subject do a job.
func (s *subject) do(t *testing.T, j job) answer {
	t.Helper()
	line, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.in.Write(append(line, '\n')); err != nil {
		t.Fatalf("%s: ask for a job: %v", s.name, err)
	}
	return s.answer(t)
}

func (s *subject) answer(t *testing.T) answer {
	t.Helper()
	var a answer
	line, err := s.out.ReadString('\n')
	if err == nil {
		err = json.Unmarshal([]byte(line), &a)
	}
	if err == nil && a.Error != "" {
		err = errors.New(a.Error)
	}
	if err != nil {
		if err == io.EOF {
			s.cmd.Wait() // its standard error is whole then
		}
		t.Fatalf("%s: %v\n%s", s.name, err, s.text)
	}
	return a
}

// count takes a round's answer into account.
func (s *subject) count(a answer) {
	s.wall, s.cpu, s.bytes = append(s.wall, float64(a.Wall)), append(s.cpu, float64(a.CPU)), a.Bytes
}

// peak is the most memory that the subject had resident, in MiB.
func (s *subject) peak(t *testing.T) float64 {
	t.Helper()
	return float64(spawn.Memory(t, s.cmd.Process.Pid, "VmHWM")) / (1 << 20)
}

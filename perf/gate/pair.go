package gate

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
)

const (
	// slicesOfPair is how many slices each process of a pair runs. The low decile of 60 is the sixth lowest: what the
	// stage takes when nothing gets in its way, without hanging on the one luckiest slice.
	slicesOfPair = 60
	decile       = slicesOfPair / 10
)

// process is a running stage. It does a slice for each line that it gets.
type process struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
	taken []float64
}

func start(ctx context.Context, program, stage string) (*process, error) {
	p := &process{cmd: exec.CommandContext(ctx, program, "-stage", stage)}
	p.cmd.Stderr = os.Stderr
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start stage %s: %w", stage, err)
	}
	return p, nil
}

func (p *process) slice() error {
	if _, err := io.WriteString(p.in, "\n"); err != nil {
		return fmt.Errorf("ask for a slice: %w", err)
	}
	line, err := p.out.ReadString('\n')
	if err != nil {
		return fmt.Errorf("read what a slice took: %w", err)
	}
	ns, err := strconv.ParseFloat(strings.TrimSpace(line), 64)
	if err != nil {
		return fmt.Errorf("read what a slice took: %w", err)
	}
	p.taken = append(p.taken, ns)
	return nil
}

func (p *process) stop() error {
	p.in.Close()
	return p.cmd.Wait()
}

// low is the low decile of what the slices took.
func (p *process) low() float64 {
	return slices.Sorted(slices.Values(p.taken))[decile]
}

// pair runs a stage of two programs in turn, in fresh processes, and returns the logarithm of the first's CPU time by the
// second's.
func pair(ctx context.Context, stage string, programs [2]string) (float64, error) {
	var both [2]*process
	for i, program := range programs {
		p, err := start(ctx, program, stage)
		if err != nil {
			return 0, err
		}
		both[i] = p
		defer p.cmd.Process.Kill() // after stop it does nothing
	}
	for n := range slicesOfPair {
		for i := range both {
			if err := both[(n+i)%2].slice(); err != nil { // first, second, second, first, …
				return 0, fmt.Errorf("stage %s of %s: %w", stage, programs[(n+i)%2], err)
			}
		}
	}
	for i, p := range both {
		if err := p.stop(); err != nil {
			return 0, fmt.Errorf("stage %s of %s: %w", stage, programs[i], err)
		}
	}
	return math.Log(both[0].low() / both[1].low()), nil
}

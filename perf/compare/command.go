package compare

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// Main is the command `perf compare`. It runs this package's tests, which is where servers can be started, and shows what
// they print. The peers must be there (make peers).
func Main(args []string, out io.Writer) error {
	fs := flag.NewFlagSet("perf compare", flag.ContinueOnError)
	path := fs.String("json", "", "`file` for the rows as JSON")
	only := fs.String("only", ".", "`pattern` of comparisons to run: Commit, Encode")
	if err := fs.Parse(args); err != nil {
		return err
	}
	cmd := exec.Command("go", "test", "-v", "-count=1", "-timeout=60m", "-run", *only, "firn/perf/compare")
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), "FIRN_TIER=slow"), out, os.Stderr
	if *path != "" {
		absolute, err := filepath.Abs(*path)
		if err != nil {
			return err
		}
		cmd.Env = append(cmd.Env, "FIRN_COMPARE_JSON="+absolute)
	}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("run comparisons: %w", err)
	}
	return nil
}

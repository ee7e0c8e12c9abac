package gate

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Base is the commit that a change is compared with.
type Base struct {
	Commit string
	Why    string // what it is to the change
}

// ErrNoBase says that there is nothing to compare with, and what to do.
var ErrNoBase = errors.New("no base to compare with")

// baseFile names commits to compare main itself with, in the repository.
const baseFile = "perf/baselines/base"

// mains are the names that the main branch goes by, the one that others share first.
var mains = []string{"refs/remotes/origin/main", "refs/heads/main"}

// FindBase returns the base of what is checked out in repo: the merge base with main; where HEAD is on main itself, the
// newest commit of perf/baselines/base that is an ancestor; asked overrides both. ErrNoBase says that there is none.
func FindBase(ctx context.Context, repo, asked string) (Base, error) {
	if asked != "" {
		commit, err := git(ctx, repo, "rev-parse", "--verify", "--end-of-options", asked+"^{commit}")
		if err != nil {
			return Base{}, fmt.Errorf("find base %s: %w", asked, err)
		}
		return Base{commit, "asked for"}, nil
	}
	head, err := git(ctx, repo, "rev-parse", "--verify", "HEAD^{commit}")
	if err != nil {
		return Base{}, fmt.Errorf("find base: %w", err)
	}
	for _, main := range mains {
		if _, err := git(ctx, repo, "rev-parse", "--verify", "--quiet", main); err != nil {
			continue
		}
		// Without a common ancestor, as in a shallow clone, git says nothing and exits 1.
		if commit, err := git(ctx, repo, "merge-base", main, head); err == nil && commit != head {
			return Base{commit, "the merge base with " + main}, nil
		}
	}
	recorded, err := recordedBases(repo)
	if err != nil {
		return Base{}, fmt.Errorf("find base: %w", err)
	}
	for _, commit := range recorded {
		if _, err := git(ctx, repo, "merge-base", "--is-ancestor", commit, head); err == nil && commit != head {
			return Base{commit, "recorded in " + baseFile + ", since HEAD is on main"}, nil
		}
	}
	if shallow, err := git(ctx, repo, "rev-parse", "--is-shallow-repository"); err == nil && shallow == "true" {
		return Base{}, fmt.Errorf("%w: the clone is shallow and lacks the history; git fetch --unshallow gets it", ErrNoBase)
	}
	return Base{}, fmt.Errorf("%w: HEAD is on main, and no commit in %s is an ancestor of it; name one there, or with -base", ErrNoBase, baseFile)
}

// recordedBases reads the commits, newest first: lines of a full commit id and a note, and comments. A missing file
// names none.
func recordedBases(repo string) ([]string, error) {
	f, err := os.Open(filepath.Join(repo, filepath.FromSlash(baseFile)))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var commits []string
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		commit, _, _ := strings.Cut(line, " ")
		if len(commit) != 40 || strings.Trim(commit, "0123456789abcdef") != "" {
			return nil, fmt.Errorf("%s:%d: %q is no full commit id", baseFile, n, commit)
		}
		commits = append(commits, commit)
	}
	return commits, lines.Err()
}

// git runs git in repo and returns its output without the last line's end.
func git(ctx context.Context, repo string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = repo
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(complaint.String()))
	}
	return strings.TrimRight(string(out), "\n"), nil
}

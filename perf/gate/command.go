package gate

import (
	"context"
	"flag"
	"io"
	"strings"
)

// Main is the command `perf gate`.
func Main(ctx context.Context, args []string, out io.Writer) error {
	c := Default()
	c.Log = out
	fs := flag.NewFlagSet("perf gate", flag.ContinueOnError)
	fs.StringVar(&c.Repo, "repo", c.Repo, "`folder` of the change, a git working tree")
	fs.StringVar(&c.Base, "base", "", "`revision` to compare with (default: the merge base with main; on main, the one in "+baseFile+")")
	fs.StringVar(&c.Tags, "tags", "", "build `tags` of the change alone")
	fs.DurationVar(&c.Budget, "budget", c.Budget, "`time` to measure for; confirming has half as much again")
	fs.Uint64Var(&c.Seed, "seed", c.Seed, "`seed` of the order in which functions are linked")
	only := fs.String("stages", "", "comma-separated `names` of stages (default: all)")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if *only != "" {
		c.Stages = strings.Split(*only, ",")
	}
	_, err := c.Run(ctx)
	return err
}

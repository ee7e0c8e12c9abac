// Command perf measures an ingestd on this machine.
//
//	perf load [flags] [-- flags of ingestd]   sends unique events, and writes what became of them as JSON
//	perf scenarios                            lists the measurements that have names
//	perf report results… > report.html        draws results as one page
//	perf profile [flags]                      profiles an ingestd under load, and draws flame graphs
//	perf goals [flags]                        measures what Firn aims at, and prints each goal beside it
//	perf limits [-dir DIR]                    measures what sockets and the disk allow, without any server
//	perf gate [flags]                         fails if a hot stage is slower than in the base commit
//	perf compare [flags]                      measures Firn beside others who do the same work
//
// It talks to loopback addresses only.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"firn/perf/compare"
	"firn/perf/gate"
)

// commands are what perf does, by name.
var commands = []struct {
	name string
	run  func(args []string, out io.Writer) error
}{
	{"load", runLoad},
	{"gate", func(args []string, out io.Writer) error { return gate.Main(context.Background(), args, out) }},
	{"compare", compare.Main},
	{"scenarios", listScenarios},
	{"report", runReport},
	{"profile", runProfile},
	{"goals", runGoals},
	{"limits", runLimits},
}

func main() {
	if len(os.Args) > 1 {
		for _, c := range commands {
			if c.name != os.Args[1] {
				continue
			}
			err := c.run(os.Args[2:], os.Stdout)
			if errors.Is(err, flag.ErrHelp) {
				return
			}
			if err != nil {
				fmt.Fprintf(os.Stderr, "perf %s: %v\n", c.name, err)
				os.Exit(1)
			}
			return
		}
	}
	fmt.Fprint(os.Stderr, "usage:\n")
	for _, c := range commands {
		fmt.Fprintf(os.Stderr, "  perf %s [flags]\n", c.name)
	}
	os.Exit(2)
}

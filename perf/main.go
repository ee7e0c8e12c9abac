// Command perf measures a running ingestd.
//
//	perf load [flags]      sends unique events and reports acked and committed rates as JSON
//
// It talks to loopback addresses only.
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) < 2 || os.Args[1] != "load" {
		fmt.Fprintln(os.Stderr, "usage: perf load [flags]   (perf load -help lists them)")
		os.Exit(2)
	}
	if err := load(os.Args[2:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "perf load:", err)
		os.Exit(1)
	}
}

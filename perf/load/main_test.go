package load_test

import (
	"os"
	"testing"

	"firn/perf/e2e"
)

func TestMain(m *testing.M) { os.Exit(e2e.Main(m)) }

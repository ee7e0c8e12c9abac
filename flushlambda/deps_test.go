package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// The committer stays lean: a cold start of milliseconds and 10 MB of memory hang on what it pulls in. Tests may
// pull what they like: only what is linked counts.
func TestCommitterIsLean(t *testing.T) {
	// Whatever imports one of these does not belong to the committer.
	forbidden := []string{
		"firn/ingestd",
		"firn/commitlib/datafile",
		"firn/commitlib/compact",
		"github.com/parquet-go/",
		"github.com/apache/arrow-go/",
		"github.com/linxGnu/grocksdb",
		"github.com/apache/iceberg-go",
		"github.com/aws/aws-sdk-go-v2/config",
		"github.com/aws/aws-sdk-go-v2/service/sso",
		"github.com/aws/aws-sdk-go-v2/service/sts",
		"github.com/aws/aws-sdk-go-v2/service/glue",
		"firn/perf",
		"github.com/prometheus/",
	}
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Standard,CgoFiles", "-tags", "lambda.norpc,nethttpomithttp2",
		"./flushlambda", "./commitlib", "./commitlib/iceberg", "./commitlib/manifest", "./commitlib/catalog", "./commitlib/catalog/objectstore",
		"./commitlib/catalog/glue", "./commitlib/catalog/rest", "./commitlib/objstore", "./commitlib/objstore/s3store", "./commitlib/warehouse",
		"./commitlib/maintain", "./commitlib/fifo", "./commitlib/emf", "./commitlib/awsenv")
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1") // otherwise CgoFiles is empty
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for dec := json.NewDecoder(out); ; seen++ {
		var p struct {
			ImportPath string
			Standard   bool
			CgoFiles   []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if len(p.CgoFiles) > 0 && !p.Standard { // the standard library's cgo is left out of a CGO_ENABLED=0 build
			t.Errorf("the committer pulls cgo: %s", p.ImportPath)
		}
		for _, f := range forbidden {
			if strings.HasPrefix(p.ImportPath, f) {
				t.Errorf("the committer pulls %s", p.ImportPath)
			}
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if seen < 50 {
		t.Errorf("go list named %d packages: it looked at something else", seen)
	}
}

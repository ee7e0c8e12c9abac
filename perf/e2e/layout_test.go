package e2e

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// Third-party dependencies live in one place each, so that each can be replaced there. A prefix stands for a module.
// What is not listed may be imported anywhere.
var homes = map[string][]string{
	"github.com/hamba/avro/":                   {"firn/commitlib/manifest"},
	"github.com/parquet-go/":                   {"firn/commitlib/datafile"},
	"github.com/linxGnu/grocksdb":              {"firn/ingestd/kv/rocks"},
	"github.com/aws/aws-lambda-go/":            {"firn/flushlambda", "firn/flushlambda/compactor"},
	"github.com/aws/aws-sdk-go-v2/service/s3":  {"firn/commitlib/objstore/s3store"},
	"github.com/aws/aws-sdk-go-v2/service/sqs": {"firn/commitlib/fifo"},
	"github.com/aws/aws-sdk-go-v2/credentials": {"firn/commitlib/awsenv"},
	"github.com/aws/aws-sdk-go-v2/feature":     {"firn/commitlib/awsenv"},
	"github.com/aws/aws-sdk-go-v2/config":      {}, // nowhere: see awsenv
}

type listed struct {
	ImportPath string
	Imports    []string
	CgoFiles   []string
}

// ownPackages lists the module's packages as the build sees them, without their tests.
func ownPackages(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,CgoFiles", "./...")
	cmd.Dir = "../.."
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestOneDependencyOnePackage(t *testing.T) {
	for _, p := range ownPackages(t) {
		for _, imported := range p.Imports {
			for prefix, allowed := range homes {
				if strings.HasPrefix(imported, prefix) && !slices.Contains(allowed, p.ImportPath) {
					t.Errorf("%s imports %s, which lives in %v", p.ImportPath, imported, allowed)
				}
			}
		}
	}
}

func TestImportsPointOneWay(t *testing.T) {
	// from may not import to, directly or not: go list sees every package, so the direct imports are enough.
	f := func(from, to string) {
		t.Helper()
		for _, p := range ownPackages(t) {
			if !strings.HasPrefix(p.ImportPath+"/", from) {
				continue
			}
			for _, imported := range p.Imports {
				if strings.HasPrefix(imported+"/", to) {
					t.Errorf("%s imports %s", p.ImportPath, imported)
				}
			}
		}
	}
	f("firn/commitlib/", "firn/ingestd/")
	f("firn/commitlib/", "firn/flushlambda/")
	f("firn/flushlambda/", "firn/ingestd/")
	f("firn/ingestd/", "firn/flushlambda/")
	f("firn/commitlib/iceberg/", "firn/") // the nouns import nothing of Firn
}

func TestOnlyRocksHasCgo(t *testing.T) {
	for _, p := range ownPackages(t) {
		if len(p.CgoFiles) > 0 && p.ImportPath != "firn/ingestd/kv/rocks" {
			t.Errorf("%s has cgo: %v", p.ImportPath, p.CgoFiles)
		}
	}
}

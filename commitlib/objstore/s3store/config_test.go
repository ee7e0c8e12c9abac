package s3store

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
)

func environment(vars map[string]string) func(string) string {
	return func(name string) string { return vars[name] }
}

func TestConfigFromEnv(t *testing.T) {
	f := func(root string, vars map[string]string, want Config) {
		t.Helper()
		vars["AWS_REGION"], vars["AWS_ACCESS_KEY_ID"], vars["AWS_SECRET_ACCESS_KEY"] = "eu-central-1", "id", "secret"
		got, err := ConfigFromEnv(environment(vars), root)
		if err != nil {
			t.Errorf("%v: %v", vars, err)
		}
		if got.AWS.Region != "eu-central-1" || got.AWS.Credentials == nil || got.AWS.HTTPClient == nil {
			t.Errorf("%v: %+v", vars, got.AWS)
		}
		if got.Root != root || got.Endpoint != want.Endpoint || got.PathStyle != want.PathStyle || got.SSE != want.SSE || got.KMSKey != want.KMSKey {
			t.Errorf("%v: %+v", vars, got)
		}
	}
	f("s3://bucket/p", map[string]string{}, Config{})
	f("s3://bucket", map[string]string{"AWS_ENDPOINT_URL": "http://localhost:9000"}, Config{Endpoint: "http://localhost:9000", PathStyle: true})
	f("s3://bucket", map[string]string{"AWS_ENDPOINT_URL": "http://a", "AWS_ENDPOINT_URL_S3": "http://b", "FIRN_S3_PATH_STYLE": "false"}, Config{Endpoint: "http://b"})
	f("s3://bucket", map[string]string{"FIRN_S3_PATH_STYLE": "1", "FIRN_S3_SSE": "AES256"}, Config{PathStyle: true, SSE: "AES256"})
	f("s3:/", map[string]string{"FIRN_S3_SSE": "aws:kms", "FIRN_S3_KMS_KEY": "arn:k"}, Config{SSE: "aws:kms", KMSKey: "arn:k"})
}

// TestConfigFromEnvSaysAll: one start shows every mistake.
func TestConfigFromEnvSaysAll(t *testing.T) {
	_, err := ConfigFromEnv(environment(map[string]string{
		"FIRN_S3_SSE": "sse-c", "FIRN_S3_KMS_KEY": "k", "FIRN_S3_PATH_STYLE": "perhaps", "AWS_ENDPOINT_URL_S3": "store:9000", "AWS_EC2_METADATA_DISABLED": "true",
	}), "gs://bucket")
	for _, want := range []string{"AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL_S3", "s3://bucket/prefix", "FIRN_S3_SSE", "FIRN_S3_KMS_KEY", "FIRN_S3_PATH_STYLE"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in: %v", want, err)
		}
	}
}

func TestRoot(t *testing.T) {
	f := func(root, bucket, prefix, wantErr string) {
		t.Helper()
		b, p, err := parseRoot(root)
		if b != bucket || p != prefix || (err == nil) != (wantErr == "") || err != nil && !strings.Contains(err.Error(), wantErr) {
			t.Errorf("%q: %q, %q, %v", root, b, p, err)
		}
		if wantErr == "" {
			cfg := testConfig("http://localhost")
			cfg.Root = root
			if s, err := New(cfg); err != nil || s.Root() != strings.TrimSuffix(root, "/") && root != everyBucket {
				t.Errorf("%q: root %q, %v", root, s.Root(), err)
			}
		}
	}
	f("s3://bucket", "bucket", "", "")
	f("s3://bucket/", "bucket", "", "")
	f("s3://my.bucket-1/a/b c", "my.bucket-1", "a/b c/", "")
	f("s3://bucket/a/", "bucket", "a/", "")
	f("s3:/", "", "", "")
	f("s3://", "", "", "no bucket's name")
	f("s3:///a", "", "", "no bucket's name")
	f("s3a://bucket", "", "", "write it as s3://bucket/prefix")
	f("bucket/a", "", "", "write it as s3://bucket/prefix")
	f("s3://Bucket/a", "", "", "no bucket's name")
	f("s3://b@evil.com/a", "", "", "no bucket's name")
	f("s3://bucket/../a", "", "", "would leave the store")
	f("s3://bucket//a", "", "", "empty element")
	f("s3://fast--use1-az4--x-s3/a", "", "", "directory bucket")
}

func TestLocate(t *testing.T) {
	store := func(root string) *Store {
		cfg := testConfig("http://localhost")
		cfg.Root = root
		return newTestStore(t, cfg)
	}
	f := func(s *Store, key string, want object) {
		t.Helper()
		got, err := s.locate(key)
		if got != want || (err == nil) != (want != object{}) {
			t.Errorf("%s: %q is %+v, %v; want %+v", s.Root(), key, got, err, want)
		}
		if err == nil && s.keyOf(got.bucket, got.key) != key {
			t.Errorf("%s: %q comes back as %q", s.Root(), key, s.keyOf(got.bucket, got.key))
		}
	}
	one, all := store("s3://bucket/ware"), store("s3:/")
	f(one, "t/k", object{"bucket", "ware/t/k"})
	f(one, "../k", object{})
	f(one, strings.Repeat("x/", 510)+"x", object{}) // with the prefix it is too long
	f(all, "bucket/t/k", object{"bucket", "t/k"})
	f(all, "bucket", object{})
	f(all, "Bucket/k", object{})
	f(all, "bucket/../other/k", object{})
}

func TestValidateParts(t *testing.T) {
	f := func(change func(*Config), want string) {
		t.Helper()
		cfg := testConfig("")
		change(&cfg)
		if err := cfg.Validate(); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	f(func(*Config) {}, "")
	f(func(c *Config) { c.PartBytes = 1 << 20 }, "S3 takes none below")
	f(func(c *Config) { c.Concurrency = -1 }, "negative")
	f(func(c *Config) { c.AWS.Region = "" }, "AWS_REGION")
	f(func(c *Config) { c.AWS.Credentials = nil }, "no credentials")
	f(func(c *Config) {
		c.AWS.Credentials = nil
		c.Credentials = func(string, string) aws.CredentialsProvider { return nil }
	}, "")
	f(func(c *Config) { c.KMSKey = "k" }, "aws:kms alone")
	f(func(c *Config) { c.Endpoint = "http://u:p@h" }, "user or password")
}

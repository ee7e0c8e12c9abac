package awsenv

import (
	"strings"
	"testing"
)

func environment(pairs ...string) func(string) string {
	vars := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		vars[pairs[i]] = pairs[i+1]
	}
	return func(name string) string { return vars[name] }
}

func TestLoad(t *testing.T) {
	cfg, err := Load(environment("AWS_REGION", "eu-central-1", "AWS_ACCESS_KEY_ID", "id", "AWS_SECRET_ACCESS_KEY", "secret",
		"AWS_SESSION_TOKEN", "token", "AWS_ENDPOINT_URL", "http://localhost:4566"))
	if err != nil {
		t.Fatal(err)
	}
	creds, err := cfg.Credentials.Retrieve(t.Context())
	if err != nil || creds.AccessKeyID != "id" || creds.SecretAccessKey != "secret" || creds.SessionToken != "token" || creds.CanExpire {
		t.Errorf("credentials %+v, %v", creds, err)
	}
	if cfg.Region != "eu-central-1" || cfg.HTTPClient != Client() || *cfg.BaseEndpoint != "http://localhost:4566" {
		t.Errorf("%+v", cfg)
	}
	if cfg, err = Load(environment("AWS_DEFAULT_REGION", "us-west-2")); err != nil || cfg.Region != "us-west-2" || cfg.BaseEndpoint != nil {
		t.Errorf("the default region and the instance's role: %+v, %v", cfg, err)
	}
}

// TestLoadSays: each mistake is named with what to do, and no secret with it.
func TestLoadSays(t *testing.T) {
	f := func(want string, pairs ...string) {
		t.Helper()
		_, err := Load(environment(pairs...))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q in it", pairs, err, want)
		} else if strings.Contains(err.Error(), "hush") {
			t.Errorf("%q: a secret is in: %v", pairs, err)
		}
	}
	f("AWS_REGION is not set")
	f("is no region", "AWS_REGION", "https://s3.amazonaws.com")
	f("is no region", "AWS_REGION", "eu-central-1 ")
	region := []string{"AWS_REGION", "eu-central-1"}
	with := func(want string, pairs ...string) { t.Helper(); f(want, append(region, pairs...)...) }
	with("AWS_SECRET_ACCESS_KEY is not", "AWS_ACCESS_KEY_ID", "id")
	with("AWS_ACCESS_KEY_ID is not", "AWS_SECRET_ACCESS_KEY", "hush")
	with("AWS_SECRET_ACCESS_KEY has white space", "AWS_ACCESS_KEY_ID", "id", "AWS_SECRET_ACCESS_KEY", "hush\n")
	with("AWS_SESSION_TOKEN has white space", "AWS_ACCESS_KEY_ID", "id", "AWS_SECRET_ACCESS_KEY", "hush", "AWS_SESSION_TOKEN", "hush hush")
	with("AWS_WEB_IDENTITY_TOKEN_FILE is set, which is not supported", "AWS_WEB_IDENTITY_TOKEN_FILE", "/token")
	with("AWS_PROFILE is set", "AWS_PROFILE", "dev")
	with("there are no credentials", "AWS_EC2_METADATA_DISABLED", "TRUE")
	with("is no path", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "http://evil")
	with("neither https nor an address of this host", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://evil.example.com/creds")
	with("neither https nor an address of this host", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.99/creds")
	with("is no URL", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "/creds")
	with("AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL_SQS", "localhost:4566")
	with("AWS_ENDPOINT_URL has a user or password", "AWS_ENDPOINT_URL", "http://u:hush@localhost")
	with("AWS_ENDPOINT_URL_GLUE", "AWS_ENDPOINT_URL_GLUE", "http://localhost?x=1")
	// Both at once.
	f("AWS_SECRET_ACCESS_KEY is not", "AWS_ACCESS_KEY_ID", "id")
	f("AWS_REGION is not set", "AWS_ACCESS_KEY_ID", "id")
}

func TestEndpoint(t *testing.T) {
	f := func(service, want string, pairs ...string) {
		t.Helper()
		if got := Endpoint(environment(pairs...), service); got != want {
			t.Errorf("%s of %q: %q, want %q", service, pairs, got, want)
		}
	}
	f("s3", "")
	f("s3", "http://all", "AWS_ENDPOINT_URL", "http://all")
	f("s3", "http://s3", "AWS_ENDPOINT_URL", "http://all", "AWS_ENDPOINT_URL_S3", "http://s3")
	f("sqs", "http://all", "AWS_ENDPOINT_URL", "http://all", "AWS_ENDPOINT_URL_S3", "http://s3")
	f("glue", "http://glue", "AWS_ENDPOINT_URL_GLUE", "http://glue")
	f("s3", "", "AWS_ENDPOINT_URL", "http://all", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
}

package warehouse

import (
	"slices"
	"strings"
	"testing"
)

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for _, p := range pairs {
			if k, v, _ := strings.Cut(p, "="); k == name {
				return v
			}
		}
		return ""
	}
}

// TestViolations wants the variables that are refused, each once, and no secret repeated.
func TestViolations(t *testing.T) {
	f := func(want string, pairs ...string) {
		t.Helper()
		s, err := FromEnv(env(pairs...))
		var got []string
		for _, v := range s.Violations() {
			got = append(got, strings.TrimPrefix(v.Variable, "FIRN_"))
			if len(v.Problem) < 15 {
				t.Errorf("%v: %s says too little: %q", pairs, v.Variable, v.Problem)
			}
		}
		if strings.Join(got, " ") != want || (err != nil) != (want != "") {
			t.Errorf("%v: refused %v (%v), want %q", pairs, got, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v: the error repeats a secret: %v", pairs, err)
		}
	}
	const s3, dir = "FIRN_WAREHOUSE=s3://lake/events", "FIRN_WAREHOUSE=/srv/lake"
	const rest, uri = "FIRN_CATALOG=rest", "FIRN_CATALOG_URI=https://catalog.example.com"
	// what is right
	f("", s3)
	f("", "FIRN_WAREHOUSE=s3://lake")
	f("", "FIRN_WAREHOUSE=s3://lake/")
	f("", dir)
	f("", s3, "FIRN_CATALOG=objectstore", "FIRN_S3_SSE=AES256", "FIRN_S3_PATH_STYLE=true")
	f("", s3, "FIRN_S3_SSE=aws:kms", "FIRN_S3_KMS_KEY=alias/lake")
	f("", s3, "FIRN_CATALOG=glue", "FIRN_CATALOG_WAREHOUSE=123456789012")
	f("", rest, uri)
	f("", rest, uri, s3, "FIRN_CATALOG_TOKEN=x")
	f("", rest, uri, "FIRN_WAREHOUSE=s3://", "FIRN_CATALOG_CREDENTIAL=id:hunter2", "FIRN_CATALOG_SCOPE=PRINCIPAL_ROLE:ALL", "FIRN_CATALOG_OAUTH_URI=https://id.example.com/token")
	f("", rest, uri, "FIRN_CATALOG_SIGV4=s3tables", "FIRN_CATALOG_WAREHOUSE=arn:aws:s3tables:eu-west-1:123456789012:bucket/lake")
	// what is missing or wrong
	f("WAREHOUSE")
	f("WAREHOUSE", "FIRN_WAREHOUSE=lake")
	f("WAREHOUSE", "FIRN_WAREHOUSE=s3://")
	f("WAREHOUSE", "FIRN_WAREHOUSE=s3://Lake/x")
	f("WAREHOUSE", "FIRN_WAREHOUSE=s3://-ab/x")
	f("WAREHOUSE", "FIRN_WAREHOUSE=s3://lake//x")
	f("WAREHOUSE", "FIRN_WAREHOUSE=s3://lake/../x")
	f("WAREHOUSE", "FIRN_WAREHOUSE=s3a://lake/x")
	f("WAREHOUSE", "FIRN_WAREHOUSE=gs://lake/x")
	f("CATALOG", s3, "FIRN_CATALOG=hive")
	f("CATALOG", dir, "FIRN_CATALOG=glue")
	f("CATALOG", dir, rest, uri)
	f("CATALOG_URI", s3, rest)
	f("CATALOG_URI", s3, rest, "FIRN_CATALOG_URI=catalog:8181")
	f("CATALOG_URI", s3, rest, "FIRN_CATALOG_URI=https://me:hunter2@catalog")
	f("CATALOG_URI", s3, uri)
	f("CATALOG_TOKEN", s3, "FIRN_CATALOG=glue", "FIRN_CATALOG_TOKEN=hunter2")
	f("CATALOG_CREDENTIAL", s3, rest, uri, "FIRN_CATALOG_CREDENTIAL=hunter2")
	f("CATALOG_CREDENTIAL", s3, rest, uri, "FIRN_CATALOG_SCOPE=x")
	f("CATALOG_TOKEN", s3, rest, uri, "FIRN_CATALOG_CREDENTIAL=id:hunter2", "FIRN_CATALOG_TOKEN=hunter2")
	f("CATALOG_SIGV4", s3, rest, uri, "FIRN_CATALOG_TOKEN=hunter2", "FIRN_CATALOG_SIGV4=glue")
	f("CATALOG_SIGV4", s3, rest, uri, "FIRN_CATALOG_SIGV4=s3")
	f("S3_SSE", s3, "FIRN_S3_SSE=aes256")
	f("S3_KMS_KEY", s3, "FIRN_S3_KMS_KEY=alias/lake")
	f("S3_PATH_STYLE", s3, "FIRN_S3_PATH_STYLE=yes")
	f("S3_SSE", dir, "FIRN_S3_SSE=AES256")
	// all at once
	f("WAREHOUSE CATALOG_URI CATALOG_SIGV4 S3_SSE", "FIRN_WAREHOUSE=s3://x", rest, "FIRN_CATALOG_SIGV4=ec2", "FIRN_S3_SSE=yes")
}

// TestEveryVariableIsRead would notice a variable that is documented and not read.
func TestEveryVariableIsRead(t *testing.T) {
	var asked []string
	_, _ = FromEnv(func(name string) string { asked = append(asked, name); return "" })
	for _, name := range []string{"WAREHOUSE", "CATALOG", "CATALOG_URI", "CATALOG_WAREHOUSE", "CATALOG_TOKEN", "CATALOG_CREDENTIAL",
		"CATALOG_OAUTH_URI", "CATALOG_SCOPE", "CATALOG_SIGV4", "S3_SSE", "S3_KMS_KEY", "S3_PATH_STYLE"} {
		if !slices.Contains(asked, "FIRN_"+name) {
			t.Errorf("FIRN_%s is not read", name)
		}
	}
}

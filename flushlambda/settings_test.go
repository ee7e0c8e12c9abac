package main

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestSettings(t *testing.T) {
	// want holds what the error must name; none: the settings are good.
	f := func(poll bool, environ []string, want ...string) settings {
		t.Helper()
		s, err := settingsFrom(environ, poll)
		if len(want) == 0 && err != nil {
			t.Errorf("%v: %v", environ, err)
		}
		for _, w := range want {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%v: %v: does not say %q", environ, err, w)
			}
		}
		return s
	}
	const api, lake = "AWS_LAMBDA_RUNTIME_API=127.0.0.1:9001", "FIRN_WAREHOUSE=s3://bucket/lake"
	const queue, dead = "FIRN_QUEUE=https://sqs.eu-west-1.amazonaws.com/1/q.fifo", "FIRN_DEAD_LETTER_QUEUE=https://sqs.eu-west-1.amazonaws.com/1/d.fifo"

	aws := []string{"AWS_REGION=eu-west-1", "AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=b"}

	s := f(false, append(aws, api, lake, dead, "AWS_LAMBDA_FUNCTION_NAME=committer", "PATH=/bin"))
	if s.Warehouse != "s3://bucket/lake" || s.Catalog != "objectstore" || s.Function != "committer" || s.DeadLetterQueue == "" {
		t.Errorf("%+v", s)
	}
	if s := f(true, append(aws, lake, queue, dead)); s.Function != "flushlambda" || !strings.HasSuffix(s.Queue, "/q.fifo") {
		t.Errorf("%+v", s)
	}
	f(false, []string{lake}, "AWS_LAMBDA_RUNTIME_API", "-poll")
	f(true, []string{lake}, "FIRN_QUEUE: is not set")
	f(true, append(aws, lake, queue, strings.Replace(queue, "FIRN_QUEUE", "FIRN_DEAD_LETTER_QUEUE", 1)), "is the queue itself")
	f(true, append(aws, lake, "FIRN_QUEUE=arn:aws:sqs:eu-west-1:1:q.fifo", strings.Replace(dead, ".fifo", "", 1)),
		"FIRN_QUEUE: ", "not a name or an ARN", "FIRN_DEAD_LETTER_QUEUE: ", "is not FIFO")
	f(true, append(aws[1:], "AWS_REGION=eu-central-1", lake, queue), "lies in region eu-west-1")
	f(true, []string{lake, queue, "AWS_SECRET_ACCESS_KEY=b"}, "AWS_REGION is not set", "AWS_ACCESS_KEY_ID is not")
	f(false, []string{"FIRN_WAREHOUS=s3://bucket/lake", "FIRN_CATALOG=hive"}, // all at once
		"FIRN_WAREHOUS: flushlambda has no such setting", "FIRN_WAREHOUSE: is not set", "FIRN_CATALOG: ", "AWS_LAMBDA_RUNTIME_API")
}

// What is logged at the start has no secret in it.
func TestDescribeMasksSecrets(t *testing.T) {
	s, _ := settingsFrom([]string{
		"FIRN_WAREHOUSE=s3://bucket/lake", "FIRN_CATALOG=rest", "FIRN_CATALOG_URI=https://user:hidden1@catalog.example.com",
		"FIRN_CATALOG_TOKEN=hidden2", "FIRN_CATALOG_CREDENTIAL=id:hidden3", "AWS_SECRET_ACCESS_KEY=hidden4", "AWS_LAMBDA_RUNTIME_API=x",
	}, false)
	if text := fmt.Sprint(s.describe()); strings.Contains(text, "hidden") || !strings.Contains(text, "catalog.example.com") {
		t.Errorf("the start's log says %s", text)
	}
}

// A setting that package warehouse reads and the list here lacks would be refused as unknown.
func TestEveryWarehouseSettingIsKnown(t *testing.T) {
	source, err := os.ReadFile("../commitlib/warehouse/settings.go")
	if err != nil {
		t.Fatal(err)
	}
	read := regexp.MustCompile(`getenv\("(FIRN_\w+)"\)`).FindAllStringSubmatch(string(source), -1)
	for _, m := range read {
		if !slices.Contains(known, m[1]) {
			t.Errorf("%s is read by package warehouse and not among the known settings", m[1])
		}
	}
	if len(read) < 10 {
		t.Errorf("%d settings were found: the test looks at something else", len(read))
	}
}

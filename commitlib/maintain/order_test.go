package maintain

import "testing"

// What is not surely an order to remove something is none.
func TestReadOrder(t *testing.T) {
	f := func(event string, want Options) {
		t.Helper()
		if got, err := ReadOrder([]byte(event)); err != nil || got != want {
			t.Errorf("%s: %+v, %v", event, got, err)
		}
	}
	f(`{"maintain":{}}`, Options{})
	f(` {"maintain":{"dry_run":true}}`, Options{DryRun: true})
	f(`{"maintain":{"dry_run":true,"scope":"whole","force":true}}`, Options{DryRun: true, Scope: Whole, Force: true})
	f(`{"version":"0","detail-type":"Scheduled Event","source":"aws.events","detail":{}}`, Options{})
	f(`{"source":"aws.scheduler","detail":"{}"}`, Options{})
	f(`{"source":"aws.events","maintain":{"scope":"metadata"}}`, Options{Scope: Metadata})
	for _, event := range []string{
		`{"maintain":{"scope":"whole"},"dry_run":true}`, `{"dry_run":true}`, `{"maintain":{"dryrun":true}}`, `{"maintain":{"Dry_Run":true}}`,
		`{"Maintain":{"dry_run":true}}`, `{"maintain":{"dry_run":"yes"}}`, `{"maintain":{"dry_run":null}}`, `{"maintain":null}`, `{"maintain":[]}`,
		`{"maintain":{"scope":"all"}}`, `{"source":"aws.s3"}`, `{"source":"aws.events","maintain":{"dryrun":true}}`, `{}`, `null`, ``, `[]`, `{"maintain":{}`,
	} {
		if got, err := ReadOrder([]byte(event)); err == nil {
			t.Errorf("%s: %+v", event, got)
		}
	}
}

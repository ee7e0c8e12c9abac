package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"firn/commitlib/awsenv"
	"firn/commitlib/catalog"
	"firn/commitlib/fifo"
	"firn/commitlib/warehouse"
)

// settings are what the environment says, read once. Nothing that decides where events go has a default: a committer
// that guesses would commit into a table that nobody reads.
type settings struct {
	warehouse.Settings

	Queue           string // FIRN_QUEUE: URL of the queue to poll; Lambda's event source names it elsewhere
	DeadLetterQueue string // FIRN_DEAD_LETTER_QUEUE: URL; empty: what can never succeed is logged and dropped

	Namespaces       []string      // FIRN_NAMESPACES: whose tables are maintained, with commas between them; commits go anywhere
	MaintainInterval time.Duration // FIRN_MAINTAIN_INTERVAL: of -poll; a function is told by a schedule. 0: never

	Function    string // AWS_LAMBDA_FUNCTION_NAME, by which metrics of several deployments are told apart
	MemoryBytes int64  // AWS_LAMBDA_FUNCTION_MEMORY_SIZE, which is in MiB; 0: not in Lambda
	RuntimeAPI  string // AWS_LAMBDA_RUNTIME_API: host:port, set by Lambda
	Poll        bool   // -poll
}

// known are the variables with our prefix. Another one is a typing error, and its setting would be ignored in silence.
var known = []string{
	"FIRN_WAREHOUSE", "FIRN_CATALOG", "FIRN_CATALOG_URI", "FIRN_CATALOG_WAREHOUSE", "FIRN_CATALOG_TOKEN", "FIRN_CATALOG_CREDENTIAL",
	"FIRN_CATALOG_OAUTH_URI", "FIRN_CATALOG_SCOPE", "FIRN_CATALOG_SIGV4", "FIRN_QUEUE", "FIRN_DEAD_LETTER_QUEUE",
	"FIRN_S3_SSE", "FIRN_S3_KMS_KEY", "FIRN_S3_PATH_STYLE", "FIRN_NAMESPACES", "FIRN_MAINTAIN_INTERVAL",
}

// settingsFrom reads environ, which is as os.Environ gives it, and returns all that is wrong with it at once, each with
// what to do.
func settingsFrom(environ []string, poll bool) (settings, error) {
	values := make(map[string]string, len(environ))
	var errs []error
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		values[name] = value
		if strings.HasPrefix(name, "FIRN_") && !slices.Contains(known, name) {
			errs = append(errs, fmt.Errorf("%s: flushlambda has no such setting: correct its name, or unset it", name))
		}
	}
	getenv := func(name string) string { return values[name] }
	lake, err := warehouse.FromEnv(getenv)
	s := settings{
		Settings: lake, Poll: poll,
		Queue: getenv("FIRN_QUEUE"), DeadLetterQueue: getenv("FIRN_DEAD_LETTER_QUEUE"),
		Function: getenv("AWS_LAMBDA_FUNCTION_NAME"), RuntimeAPI: getenv("AWS_LAMBDA_RUNTIME_API"),
	}
	if mib, err := strconv.ParseInt(getenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"), 10, 32); err == nil && mib > 0 {
		s.MemoryBytes = mib << 20
	}
	if s.Function == "" {
		s.Function = "flushlambda"
	}
	if s.usesAWS() {
		account, err := awsenv.Load(getenv)
		if err != nil {
			errs = append(errs, err)
		} else {
			s.AWS = &account
		}
	}
	errs = append(errs, s.maintenance(getenv("FIRN_NAMESPACES"), getenv("FIRN_MAINTAIN_INTERVAL")))
	return s, errors.Join(append(errs, err, s.checkMode(), s.checkQueues(awsenv.Region(getenv)))...)
}

// maintenance reads what is maintained, and how often.
func (s *settings) maintenance(namespaces, interval string) error {
	var errs []error
	s.Namespaces, s.MaintainInterval = strings.Split(cmp.Or(namespaces, "default"), ","), 10*time.Minute
	for _, n := range s.Namespaces {
		if catalog.CheckNamespace(n) != nil {
			errs = append(errs, fmt.Errorf("FIRN_NAMESPACES: %q is no namespace: write names like default, with commas and nothing else between them", n))
		}
	}
	if interval != "" {
		d, err := time.ParseDuration(interval)
		if err != nil || d != 0 && (d < time.Minute || d > 24*time.Hour) {
			errs = append(errs, fmt.Errorf("FIRN_MAINTAIN_INTERVAL: %q is neither 0 nor between 1m and 24h", interval))
		}
		s.MaintainInterval = d
	}
	return errors.Join(errs...)
}

func (s settings) checkMode() error {
	switch {
	case !s.Poll && s.RuntimeAPI == "":
		return errors.New("AWS_LAMBDA_RUNTIME_API: is not set, so this is no Lambda function: start it with -poll to run as an ordinary process")
	case s.Poll && s.Queue == "":
		return errors.New("FIRN_QUEUE: is not set: write the URL of the FIFO queue to poll")
	}
	return nil
}

// checkQueues looks at the queues' URLs. Without a region nothing can be said about them; that it is missing is told.
func (s settings) checkQueues(region string) error {
	var errs []error
	check := func(variable, url string) {
		if url == "" || region == "" {
			return
		}
		if err := fifo.CheckURL(url, region); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", variable, err))
		}
	}
	if s.Poll {
		check("FIRN_QUEUE", s.Queue)
	}
	check("FIRN_DEAD_LETTER_QUEUE", s.DeadLetterQueue)
	if s.DeadLetterQueue != "" && s.DeadLetterQueue == s.Queue {
		errs = append(errs, errors.New("FIRN_DEAD_LETTER_QUEUE: is the queue itself, so that what can never succeed would come again without end: write another one's URL"))
	}
	return errors.Join(errs...)
}

// usesAWS reports whether credentials and a region are needed to start at all.
func (s settings) usesAWS() bool {
	return s.OnS3() || s.Queue != "" && s.Poll || s.DeadLetterQueue != "" || s.CatalogSigV4 != ""
}

// describe is the effective configuration for the log at the start, without secrets.
func (s settings) describe() []any {
	var out []any
	add := func(name, value string) {
		if value != "" {
			out = append(out, name, value)
		}
	}
	add("warehouse", s.Warehouse)
	add("catalog", s.Catalog)
	add("catalogURI", withoutUser(s.CatalogURI))
	add("catalogWarehouse", s.CatalogWarehouse)
	add("catalogSigV4", s.CatalogSigV4)
	add("sse", s.S3SSE)
	if s.Poll {
		add("queue", s.Queue)
		add("maintainInterval", s.MaintainInterval.String())
	}
	add("namespaces", strings.Join(s.Namespaces, ","))
	add("deadLetterQueue", s.DeadLetterQueue)
	return out
}

// withoutUser masks a password in an address, should one be there.
func withoutUser(address string) string {
	if u, err := url.Parse(address); err == nil {
		return u.Redacted()
	}
	return address
}

package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"firn/commitlib/awsenv"
	"firn/commitlib/catalog"
	"firn/commitlib/warehouse"
)

// settings are what the environment says, read once.
type settings struct {
	warehouse.Settings

	Namespaces  []string // FIRN_NAMESPACES: whose tables are compacted, with commas between them
	MemoryBytes int64    // AWS_LAMBDA_FUNCTION_MEMORY_SIZE, which is in MiB; of a process defaultMemory
}

// defaultMemory is what the function should be given, and what a process takes.
const defaultMemory = 512 << 20

// leastMemory is what a merge, an encoder and the parts of an upload need.
const leastMemory = 256 << 20

// known are the variables with our prefix: the committer's, so that one set serves both. Another one is a typing error.
var known = []string{
	"FIRN_WAREHOUSE", "FIRN_CATALOG", "FIRN_CATALOG_URI", "FIRN_CATALOG_WAREHOUSE", "FIRN_CATALOG_TOKEN", "FIRN_CATALOG_CREDENTIAL",
	"FIRN_CATALOG_OAUTH_URI", "FIRN_CATALOG_SCOPE", "FIRN_CATALOG_SIGV4", "FIRN_QUEUE", "FIRN_DEAD_LETTER_QUEUE",
	"FIRN_S3_SSE", "FIRN_S3_KMS_KEY", "FIRN_S3_PATH_STYLE", "FIRN_NAMESPACES", "FIRN_MAINTAIN_INTERVAL",
}

// settingsFrom reads environ, which is as os.Environ gives it, and returns all that is wrong with it at once.
func settingsFrom(environ []string, once bool) (settings, error) {
	values := make(map[string]string, len(environ))
	var errs []error
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		values[name] = value
		if strings.HasPrefix(name, "FIRN_") && !slices.Contains(known, name) {
			errs = append(errs, fmt.Errorf("%s: compactor has no such setting: correct its name, or unset it", name))
		}
	}
	getenv := func(name string) string { return values[name] }
	lake, err := warehouse.FromEnv(getenv)
	s := settings{Settings: lake, Namespaces: strings.Split(cmp.Or(getenv("FIRN_NAMESPACES"), "default"), ","), MemoryBytes: defaultMemory}
	for _, n := range s.Namespaces {
		if catalog.CheckNamespace(n) != nil {
			errs = append(errs, fmt.Errorf("FIRN_NAMESPACES: %q is no namespace: write names like default, with commas and nothing else between them", n))
		}
	}
	if mib, err := strconv.ParseInt(getenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"), 10, 32); err == nil && mib > 0 {
		s.MemoryBytes = mib << 20
	}
	if s.MemoryBytes < leastMemory {
		errs = append(errs, fmt.Errorf("AWS_LAMBDA_FUNCTION_MEMORY_SIZE: %d MB are too little to merge files in: give the function 512", s.MemoryBytes>>20))
	}
	if !once && getenv("AWS_LAMBDA_RUNTIME_API") == "" {
		errs = append(errs, errors.New("AWS_LAMBDA_RUNTIME_API: is not set, so this is no Lambda function: start it with -once to run as an ordinary process"))
	}
	if s.OnS3() || s.CatalogSigV4 != "" {
		account, err := awsenv.Load(getenv)
		if err != nil {
			errs = append(errs, err)
		} else {
			s.AWS = &account
		}
	}
	return s, errors.Join(append(errs, err)...)
}

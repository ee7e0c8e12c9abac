package main

import (
	"flag"
	"fmt"
	"slices"
	"strings"
)

// secrets are variables that no flag sets: flags are shown to everybody by ps.
var secrets = map[string]func(c *Config, value string){
	"FIRN_CATALOG_TOKEN":      func(c *Config, v string) { c.Lake.CatalogToken = v },
	"FIRN_CATALOG_CREDENTIAL": func(c *Config, v string) { c.Lake.CatalogCredential = v },
}

// secretsFrom sets what the environment alone may say, and lets the AWS_ variables be found there.
func (c *Config) secretsFrom(environ []string) {
	values := make(map[string]string, len(environ))
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		values[name] = value
		if set := secrets[name]; set != nil {
			set(c, value)
		}
	}
	c.Lake.Getenv = func(name string) string { return values[name] }
}

// notFlags are variables with our prefix that set nothing here: they belong to the committer, or to tests and their
// tools, which may have them exported where ingestd is started.
var notFlags = []string{"FIRN_DEAD_LETTER_QUEUE", "FIRN_PEERS", "FIRN_PHASE_FILE", "FIRN_PYTHON", "FIRN_SEED", "FIRN_SEEDS", "FIRN_SOAK", "FIRN_TEST_STORE", "FIRN_TIER"}

func envName(flagName string) string {
	return "FIRN_" + strings.ToUpper(strings.ReplaceAll(flagName, "-", "_"))
}

func flagName(envName string) string {
	return strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(envName, "FIRN_"), "_", "-"))
}

// setFromEnvironment sets the flags that the environment names, and returns all that is wrong with it. A FIRN_ variable
// that no flag has is an error: its setting would be ignored in silence.
func setFromEnvironment(fs *flag.FlagSet, environ []string) (errs []error) {
	names := map[string]*flag.Flag{}
	fs.VisitAll(func(f *flag.Flag) { names[envName(f.Name)] = f })
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		if !strings.HasPrefix(name, "FIRN_") || slices.Contains(notFlags, name) || secrets[name] != nil {
			continue
		}
		f, ok := names[name]
		if !ok {
			errs = append(errs, fmt.Errorf("unknown environment variable %s%s", name, didYouMean(name, names)))
			continue
		}
		if err := f.Value.Set(value); err != nil {
			errs = append(errs, fmt.Errorf("invalid value %q for environment variable %s: %w", value, name, err))
		}
	}
	return errs
}

// maxDistance is how many letters a variable may be away from the one that was meant: more, and it is another word.
const maxDistance = 3

// didYouMean names the variable nearest to one that is unknown, if one is near.
func didYouMean(name string, known map[string]*flag.Flag) string {
	best, least := "", maxDistance+1
	for k := range known {
		if d := distance(name, k); d < least || d == least && k < best {
			best, least = k, d
		}
	}
	if best == "" {
		return ": no flag has that name"
	}
	return ": did you mean " + best + "?"
}

// distance is how many letters must be put in, taken out or replaced to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := corner
			if a[i] != b[j] {
				d = 1 + min(corner, row[j], row[j+1])
			}
			corner, row[j+1] = row[j+1], d
		}
	}
	return row[len(b)]
}

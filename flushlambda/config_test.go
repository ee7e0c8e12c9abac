package main

import (
	"strings"
	"testing"
)

func TestConfigFromEnv(t *testing.T) {
	// want holds what the error must name; none: the configuration is good.
	f := func(warehouse, catalog string, want ...string) {
		t.Helper()
		env := map[string]string{"FIRN_WAREHOUSE": warehouse, "FIRN_CATALOG": catalog}
		c, err := configFromEnv(func(k string) string { return env[k] })
		if len(want) == 0 {
			if err != nil {
				t.Errorf("configFromEnv(%q, %q): %v", warehouse, catalog, err)
			}
			if c.Catalog != catalogObjectStore {
				t.Errorf("configFromEnv(%q, %q): catalog %q", warehouse, catalog, c.Catalog)
			}
			return
		}
		if err == nil {
			t.Errorf("configFromEnv(%q, %q) passed", warehouse, catalog)
			return
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("configFromEnv(%q, %q): %v: does not say %q", warehouse, catalog, err, w)
			}
		}
	}
	f("/mnt/warehouse", "")
	f("/mnt/warehouse", "objectstore")
	f("", "", "FIRN_WAREHOUSE is not set")
	f("warehouse", "", "absolute path")
	f("s3://bucket/prefix", "", "s3://bucket/prefix", "mounted folder only")
	f("/mnt/warehouse", "glue", "FIRN_CATALOG=glue", "objectstore")
	f("", "rest", "FIRN_WAREHOUSE is not set", "FIRN_CATALOG=rest") // all violations at once
}

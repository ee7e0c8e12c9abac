package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// config is what the environment says. There is no default for the warehouse: a committer that guesses would commit
// into a table that nobody reads.
type config struct {
	Warehouse string // FIRN_WAREHOUSE: absolute path of the folder that holds <namespace>/<table>
	Catalog   string // FIRN_CATALOG: what holds the table pointer
}

// catalogObjectStore is the catalog that needs nothing but the warehouse itself.
const catalogObjectStore = "objectstore"

// configFromEnv reads and validates the configuration; it returns all violations at once.
func configFromEnv(getenv func(string) string) (config, error) {
	c := config{Warehouse: getenv("FIRN_WAREHOUSE"), Catalog: getenv("FIRN_CATALOG")}
	if c.Catalog == "" {
		c.Catalog = catalogObjectStore
	}
	return c, c.validate()
}

func (c config) validate() error {
	var bad []error
	switch {
	case c.Warehouse == "":
		bad = append(bad, errors.New("FIRN_WAREHOUSE is not set: set it to the absolute path of the warehouse folder"))
	case strings.Contains(c.Warehouse, "://"):
		bad = append(bad, fmt.Errorf("FIRN_WAREHOUSE=%s: this release commits to a mounted folder only: set it to an absolute path", c.Warehouse))
	case !filepath.IsAbs(c.Warehouse):
		bad = append(bad, fmt.Errorf("FIRN_WAREHOUSE=%s: table metadata states absolute locations: set it to an absolute path", c.Warehouse))
	}
	if c.Catalog != catalogObjectStore {
		bad = append(bad, fmt.Errorf("FIRN_CATALOG=%s: this release supports %q only", c.Catalog, catalogObjectStore))
	}
	return errors.Join(bad...)
}

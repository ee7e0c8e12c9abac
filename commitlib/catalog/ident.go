package catalog

import (
	"fmt"
	"regexp"
)

// namePattern is what every catalog and engine takes unquoted: Glue, Athena and S3 Tables want lower case.
const namePattern = `^[a-z][a-z0-9_]{0,127}$`

var nameRE = regexp.MustCompile(namePattern)

// CheckIdent says whether namespace and name are ones that every catalog takes; the
// error is ErrRejected and names the rule.
func CheckIdent(id Ident) error {
	if err := checkName("namespace", id.Namespace); err != nil {
		return err
	}
	return checkName("table name", id.Name)
}

// CheckNamespace is CheckIdent for a namespace alone.
func CheckNamespace(namespace string) error { return checkName("namespace", namespace) }

func checkName(what, name string) error {
	if nameRE.MatchString(name) {
		return nil
	}
	return fmt.Errorf("%w: %s %q does not match %s", ErrRejected, what, name, namePattern)
}

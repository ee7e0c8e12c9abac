package iceberg

import "fmt"

// CutMember takes the member of that name out of a JSON object: its value, nil where there is none, and the object
// without it. It is for answers that hold a table's metadata beside a few words of their own: encoding/json takes longer to
// find where megabytes of metadata end than ParseMetadataAfter takes to read them.
func CutMember(doc []byte, name string) (value, rest []byte, err error) {
	text, err := validText(doc)
	if err != nil {
		return nil, nil, err
	}
	var found bool
	var v string
	others, err := eachMember(text, func(key, value string) error {
		if key != name {
			return errCarry
		}
		found, v = true, value // of several the last, as encoding/json does
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("cut out member %q: %w", name, err)
	}
	if found {
		value = []byte(v)
	}
	return value, append(append([]byte{'{'}, others...), '}'), nil
}

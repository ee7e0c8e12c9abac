package objstore

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	maxKeyBytes     = 1024 // S3's bound on a key
	maxElementBytes = 255  // NAME_MAX of Linux file systems: a key must fit every store
)

// tempFolder is where Dir keeps what is not an object: its temporary files and its
// lock. No key lies there in any store.
const tempFolder = ".firn-tmp"

// CheckKey says what is wrong with a key, or nil. Every store refuses the same keys, so that what works on one
// works on all: elements between slashes are 1 to 255 bytes of UTF-8 without control characters, none is "." or "..",
// the key is at most 1,024 bytes, and its first element is not Dir's own folder.
func CheckKey(key string) error {
	if err := checkKey(key); err != nil {
		return fmt.Errorf("object key %q: %w", key, err)
	}
	return nil
}

func checkKey(key string) error {
	switch {
	case key == "":
		return errors.New("is empty")
	case len(key) > maxKeyBytes:
		return fmt.Errorf("has %d bytes, at most %d are allowed", len(key), maxKeyBytes)
	case !utf8.ValidString(key):
		return errors.New("is not valid UTF-8")
	}
	for i := 0; i < len(key); i++ {
		if key[i] < ' ' || key[i] == 0x7f {
			return fmt.Errorf("has a control character at byte %d", i)
		}
	}
	first := true
	for element := range strings.SplitSeq(key, "/") {
		switch {
		case element == "":
			return errors.New("has an empty element; keys are relative, without leading, trailing or doubled slashes")
		case element == "." || element == "..":
			return fmt.Errorf("has the element %q, which would leave the store", element)
		case len(element) > maxElementBytes:
			return fmt.Errorf("has an element of %d bytes, at most %d are allowed", len(element), maxElementBytes)
		case first && element == tempFolder:
			return fmt.Errorf("begins with %s, which the local store keeps for itself", tempFolder)
		}
		first = false
	}
	return nil
}

// CheckPut says what is wrong with a Put before anything is sent, or nil.
func CheckPut(key string, cond Condition) error {
	if cond.Absent && cond.ETag != "" {
		return fmt.Errorf("put %q: a condition is Absent or an ETag, not both", key)
	}
	return CheckKey(key)
}

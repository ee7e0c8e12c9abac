package manifest

import "fmt"

// Each calls fn with each entry, deleted ones included, of the manifest that l describes, with what it inherits filled
// in. It checks what Read checks; since that shows at the end alone, what fn was told counts for nothing where Each
// returns an error, which is fn's own if fn returned one. It holds one entry at a time: with its statistics one takes some
// kilobytes. fn may keep what the entry holds, but not the entry.
func (l *ListEntry) Each(data []byte, fn func(*Entry) error) error {
	if int64(len(data)) != l.Length {
		return fmt.Errorf("read manifest %s: it has %d bytes, its manifest list says %d", l.Path, len(data), l.Length)
	}
	var has ListEntry
	one := make([]Entry, 1)
	h, err := each(data, func(e *Entry) error {
		has.count(e)
		one[0] = *e
		if err := l.Inherit(one); err != nil {
			return err
		}
		return fn(&one[0])
	})
	if err == nil {
		err = l.headedAs(h)
	}
	if err == nil {
		err = has.countsAs(l)
	}
	if err != nil {
		return fmt.Errorf("read manifest %s: %w", l.Path, err)
	}
	return nil
}

package eventlog

import (
	"bytes"
	"fmt"

	"firn/ingestd/kv"
)

// PutMeta sets a small record of another package (the registry's tables), durable when it returns; nil deletes it.
func (l *Log) PutMeta(k string, v []byte) error {
	v = bytes.Clone(v)
	err := l.do(&change{apply: func(w *writer) error {
		if v == nil {
			w.batch.Delete(kv.Meta, []byte(metaUser+k))
		} else {
			w.batch.Put(kv.Meta, []byte(metaUser+k), v)
		}
		return nil
	}})
	if err != nil {
		return fmt.Errorf("write record %q: %w", k, err)
	}
	return nil
}

// IterMeta calls fn for the records whose keys start with prefix, in order. fn may keep v and call the log.
func (l *Log) IterMeta(prefix string, fn func(k string, v []byte) error) error {
	type record struct {
		k string
		v []byte
	}
	var all []record
	lo := []byte(metaUser + prefix)
	err := l.store.Iterate(kv.Meta, lo, afterPrefix(metaUser), false, func(k, v []byte) error {
		if !bytes.HasPrefix(k, lo) {
			return kv.ErrStop
		}
		all = append(all, record{string(k[len(metaUser):]), bytes.Clone(v)})
		return nil
	})
	if err != nil {
		return fmt.Errorf("read records %q: %w", prefix, err)
	}
	for _, r := range all {
		if err := fn(r.k, r.v); err != nil {
			return err
		}
	}
	return nil
}

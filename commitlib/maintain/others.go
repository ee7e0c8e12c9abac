package maintain

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/google/uuid"

	"firn/commitlib/objstore"
)

// A table that was dropped without its files, or renamed, leaves them where they are, and a new one of its name may get
// the same folder. To the new one's sweep the old one's files are leftovers, logs and ranges included, while their owner
// means to register the old one again, or writes to it under its new name. Its metadata tells.

// readEnds is how many of the oldest, and of the newest, metadata files that nothing references are read: what a table
// had that was there before is older than all of this one's, and one that is still written to has the newest.
const readEnds = 2

// maxMetadataBytes bounds the metadata of another table that is read.
const maxMetadataBytes = 64 << 20

// ends are the oldest and the newest of objects.
type ends struct{ oldest, newest []objstore.Info }

func (e *ends) add(o objstore.Info) {
	byTime := func(a, b objstore.Info) int { return cmp.Or(a.Modified.Compare(b.Modified), cmp.Compare(a.Key, b.Key)) }
	e.oldest = insert(e.oldest, o, byTime)
	e.newest = insert(e.newest, o, func(a, b objstore.Info) int { return byTime(b, a) })
}

// insert keeps the first readEnds in order.
func insert(into []objstore.Info, o objstore.Info, order func(a, b objstore.Info) int) []objstore.Info {
	at, _ := slices.BinarySearchFunc(into, o, order)
	if at == readEnds {
		return into
	}
	into = slices.Insert(into, at, o)
	return into[:min(len(into), readEnds)]
}

// isTableMetadata says that a name is one of table metadata, compressed or not.
func isTableMetadata(key string) bool {
	return strings.HasSuffix(key, ".metadata.json") || strings.HasSuffix(key, ".metadata.json.gz")
}

// others stops the sweep where another table's files lie in the folder, and nobody said that they are not needed.
func (s *sweep) others(ctx context.Context) error {
	if s.looks.other != uuid.Nil && s.leftovers {
		if why := s.other(s.looks.other, s.root+looksName); why != "" {
			return s.stop(why)
		}
	}
	var read []string
	for _, o := range slices.Concat(s.metadata.oldest, s.metadata.newest) {
		if slices.Contains(read, o.Key) {
			continue
		}
		read = append(read, o.Key)
		table, ok, err := s.tableOf(ctx, o.Key)
		if err != nil {
			return err
		}
		if ok && table != s.table.Metadata.TableUUID {
			if why := s.other(table, o.Key); why != "" {
				return s.stop(why)
			}
		}
	}
	return nil
}

// other says what to do about another table of which an object tells; empty where somebody decided that.
func (s *sweep) other(table uuid.UUID, key string) string {
	switch {
	case slices.Contains(s.looks.notNeeded, table):
		return ""
	case s.opts.Force:
		s.looks.notNeeded, s.decided = append(s.looks.notNeeded, table), true
		return ""
	}
	return fmt.Sprintf("%s is of another table, with UUID %s, which was dropped or renamed and had this folder: to this table's sweep "+
		"its files are leftovers. If it is needed, move its files to a folder of their own; if not, sweep by hand with force, once", key, table)
}

// tableOf reads whose metadata the object is; false where it cannot be read as any.
func (s *sweep) tableOf(ctx context.Context, key string) (table uuid.UUID, ok bool, err error) {
	body, _, err := s.store.Get(ctx, key)
	if errors.Is(err, objstore.ErrNotExist) {
		return table, false, nil
	}
	if err != nil {
		return table, false, fmt.Errorf("read unreferenced table metadata: %w", err)
	}
	if zipped, err := gzip.NewReader(bytes.NewReader(body)); err == nil {
		if body, err = io.ReadAll(io.LimitReader(zipped, maxMetadataBytes)); err != nil {
			return table, false, nil
		}
	}
	var doc struct {
		Format int       `json:"format-version"`
		Table  uuid.UUID `json:"table-uuid"`
	}
	if json.Unmarshal(body, &doc) != nil || doc.Format == 0 {
		return table, false, nil
	}
	return doc.Table, true, nil // without a UUID it is of version 1, and none of ours
}

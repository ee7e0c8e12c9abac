package manifest

import (
	"container/list"
	"sync"

	"firn/commitlib/iceberg"
)

// cacheSize bounds each cache, in layouts of about 20 KB. A process that commits to more distinct partition types than
// this in turn parses more often; the words of Firn's own settings make eight.
const cacheSize = 256

// cache keeps what was made last for each key, least recently used out first. Making happens under the lock, so that
// one text is parsed once however many goroutines ask at the same moment.
type cache[V any] struct {
	mu    sync.Mutex // protects all below
	byKey map[string]*list.Element
	order list.List // front is the most recently used; values are *cached[V]
}

type cached[V any] struct {
	key   string
	value V
}

func (c *cache[V]) get(key string, make func() (V, error)) (V, error) {
	if reparse {
		return make()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.byKey[key]; ok {
		Hits.Add(1)
		c.order.MoveToFront(e)
		return e.Value.(*cached[V]).value, nil
	}
	v, err := make()
	if err != nil {
		return v, err
	}
	if c.byKey == nil {
		c.byKey = map[string]*list.Element{}
	}
	c.byKey[key] = c.order.PushFront(&cached[V]{key, v})
	if c.order.Len() > cacheSize {
		last := c.order.Remove(c.order.Back()).(*cached[V])
		delete(c.byKey, last.key)
	}
	return v, nil
}

// written is what a manifest of one partition type is written with.
type written struct {
	text   string
	layout *layout
}

var (
	writeCache cache[written] // by the partition type's signature
	readCache  cache[*layout] // by the schema text of a file's header

	parsedListLayout = mustParse(listSchema)
)

// listLayout returns what to write a manifest list with.
func listLayout() *layout {
	if reparse {
		return mustParse(listSchema)
	}
	Hits.Add(1)
	return parsedListLayout
}

// writeLayout returns what to write a manifest with. It serves to read that manifest as well, as merging does.
func writeLayout(schema *iceberg.Schema, spec iceberg.PartitionSpec) (written, error) {
	types, err := partitionTypes(schema, spec)
	if err != nil {
		return written{}, err
	}
	return writeCache.get(signature(types), func() (written, error) {
		w, err := makeWritten(types)
		if err == nil {
			_, err = readCache.get(w.text, func() (*layout, error) { return w.layout, nil })
		}
		return w, err
	})
}

func makeWritten(types []partitionType) (written, error) {
	text, err := entrySchemaFor(types)
	if err != nil {
		return written{}, err
	}
	l, err := parse(text)
	return written{text, l}, err
}

// readLayout returns what to read a file with.
func readLayout(text string) (*layout, error) {
	if text == listSchema {
		return listLayout(), nil
	}
	return readCache.get(text, func() (*layout, error) { return parse(text) })
}

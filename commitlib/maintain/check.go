package maintain

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"firn/commitlib"
	"firn/commitlib/catalog"
	"firn/commitlib/objstore"
)

// Finding is one object of a table that is not as the table needs it.
type Finding struct {
	Key     string `json:"key"`
	What    string `json:"what"`
	Problem string `json:"problem"`
}

func (f Finding) String() string { return f.What + " " + f.Key + ": " + f.Problem }

// Inventory is what Check finds. A table is whole if Missing and Damaged are empty.
type Inventory struct {
	Needed   int       `json:"needed"` // distinct objects that the table names
	Missing  []Finding `json:"missing,omitempty"`
	Damaged  []Finding `json:"damaged,omitempty"` // of another size than the table states, or unreadable
	LeftOver []string  `json:"left_over,omitempty"`
}

// Check walks all metadata of a loaded table, and lists every object under its root: it says what any snapshot, branch
// or tag needs and is missing or damaged, and what nothing needs. Manifest lists and manifests are read whole; of data
// files it compares sizes. Firn's notes, claims and looks are neither needed nor left over. It holds every name, unlike
// a sweep: some 200 bytes for each object.
func Check(ctx context.Context, store objstore.Store, t *catalog.Table) (*Inventory, error) {
	c := &checking{store: store, needs: map[string]need{}, inventory: &Inventory{}}
	if err := c.check(ctx, t); err != nil {
		return nil, fmt.Errorf("check %s: %w", t.Ident, err)
	}
	return c.inventory, nil
}

type checking struct {
	store     objstore.Store
	needs     map[string]need
	inventory *Inventory
}

func (c *checking) check(ctx context.Context, t *catalog.Table) error {
	root, ok := keyOf(c.store, t.Location)
	if !ok {
		return fmt.Errorf("it lies at %s, outside the store %s", t.Location, c.store.Root())
	}
	unreadable := map[string]bool{}
	w := newWalker(c.store, true, c.needed)
	w.broken = func(n need, err error) error {
		if !errors.Is(err, objstore.ErrNotExist) { // what is missing the listing tells
			unreadable[n.key] = true
			c.inventory.Damaged = append(c.inventory.Damaged, Finding{n.key, n.what, err.Error()})
		}
		return nil
	}
	if err := w.table(ctx, t); err != nil {
		return err
	}
	if marks, err := commitlib.ParseWatermarks(t.Metadata.Properties); err == nil && marks.Spilled != nil {
		w.name(marks.Spilled.File, need{size: unknownSize, what: "spilled watermarks"})
	}
	c.inventory.Needed = len(c.needs)

	found := map[string]bool{}
	err := c.store.List(ctx, root+"/", func(o objstore.Info) error {
		n, needed := c.needs[o.Key]
		switch {
		case !needed:
			if k := readName(o.Key[len(root)+1:]).kind; k != kept && k != claim {
				c.inventory.LeftOver = append(c.inventory.LeftOver, o.Key)
			}
		case !unreadable[o.Key]:
			c.compare(n, o)
		}
		found[o.Key] = true
		return nil
	})
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(c.needs)) {
		n := c.needs[key]
		if found[key] || n.lenient {
			continue
		}
		if strings.HasPrefix(key, root+"/") {
			c.lost(n)
			continue
		}
		switch o, err := c.store.Head(ctx, key); {
		case errors.Is(err, objstore.ErrNotExist):
			c.lost(n)
		case err != nil:
			return err
		default:
			c.compare(n, o)
		}
	}
	return nil
}

// needed notes a need. Of two that state different sizes one is wrong: the object shows which.
func (c *checking) needed(n need) {
	if before, ok := c.needs[n.key]; ok && (!before.lenient || n.lenient) {
		return
	}
	c.needs[n.key] = n
}

func (c *checking) compare(n need, o objstore.Info) {
	if n.size != unknownSize && n.size != o.Size {
		c.inventory.Damaged = append(c.inventory.Damaged, Finding{n.key, n.what, fmt.Sprintf("it has %d bytes, the table says %d", o.Size, n.size)})
	}
}

func (c *checking) lost(n need) {
	c.inventory.Missing = append(c.inventory.Missing, Finding{n.key, n.what, "it is not in the store"})
}

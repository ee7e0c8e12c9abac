package registry

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"time"

	"firn/commitlib"
	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
)

// want is what a look-up may do.
type want struct {
	make    bool   // make the table where there is none
	change  Change // of its settings, by a Put; nil: none
	created *bool  // set where a Put made it
	anew    bool   // adopt a table made anew: an operator's word
}

// adopt loads the table, or makes it where that is allowed, and publishes it.
func (r *Registry) adopt(ctx context.Context, name string, w want) (*Table, error) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.CatalogTimeout)
	defer cancel()
	id := r.Ident(name)
	ct, err := r.cat.Load(ctx, id)
	if errors.Is(err, catalog.ErrNoTable) {
		if _, known := r.Get(name); !known && len(*r.tables.Load()) >= r.cfg.MaxTables {
			return nil, tooManyError(r.cfg.MaxTables)
		}
		if !w.make {
			return nil, fmt.Errorf("%w: %s; PUT /tables/%s makes it", ErrUnknownTable, name, name)
		}
		base := r.cfg.Defaults
		if known, ok := r.Get(name); ok { // it is made anew: senders rely on what it was
			base = known.Settings
		}
		s, bad := w.change.apply(base)
		if bad != nil {
			return nil, bad
		}
		ct, err = r.create(ctx, id, s, w.created)
	}
	if err != nil {
		return nil, r.catalogError(name, err)
	}
	r.logBack(name)
	return r.publish(name, ct, w)
}

// create makes the table. Where another daemon was faster, or the answer was lost, the catalog's state decides.
func (r *Registry) create(ctx context.Context, id catalog.Ident, s Settings, created *bool) (*catalog.Table, error) {
	spec, err := iceberg.EventSpec(s.PartitionBy)
	if err != nil {
		return nil, err
	}
	ct, err := r.cat.Create(ctx, id, catalog.Spec{
		Schema:     iceberg.EventSchema(s.payloadType()),
		Partition:  spec,
		Properties: commitlib.NewTableProperties(),
	})
	switch {
	case err == nil:
		if created != nil {
			*created = true
		}
		return ct, nil
	case errors.Is(err, catalog.ErrTableExists), errors.Is(err, catalog.ErrUnknown):
		ct, loadErr := r.cat.Load(ctx, id)
		if errors.Is(loadErr, catalog.ErrNoTable) {
			return nil, err // not there yet: whoever tries again will see
		}
		return ct, loadErr
	}
	return nil, err
}

// publish makes a loaded table durable here and then visible.
func (r *Registry) publish(name string, ct *catalog.Table, w want) (*Table, error) {
	t, err := fit(ct)
	if err != nil {
		return nil, rejected(name, err)
	}
	t.Name = name

	r.writing.Lock()
	defer r.writing.Unlock()
	old, known := r.Get(name)
	if !known && r.cfg.Root != "" && !strings.HasPrefix(t.Location, r.cfg.Root+"/") {
		return nil, rejected(name, fmt.Errorf("it lies at %s, outside the warehouse %s that data files go to: start ingestd with the warehouse that holds it, or use another name", t.Location, r.cfg.Root))
	}
	if known && old.UUID != t.UUID && !w.anew { // one that a Put adopted meanwhile must not give way to an earlier look
		return nil, fmt.Errorf("%w: %s has UUID %s here, and %s was loaded", ErrReplaced, name, old.UUID, t.UUID)
	}
	base := r.cfg.Defaults
	if known {
		base, t.Declared, t.Stopped = old.Settings, old.Declared, old.Stopped
	}
	base.Payload, base.PartitionBy = t.Settings.Payload, t.Settings.PartitionBy
	if t.Settings, err = w.change.apply(base); err != nil {
		return nil, err
	}
	if err := contradiction(name, t.Settings, base.Payload, base.PartitionBy); err != nil {
		return nil, err
	}
	t.Settings.PartitionBy = base.PartitionBy // the canonical form of what means the same
	if w.change != nil {
		t.Declared, t.Stopped = true, false
	}

	if known && old.UUID != t.UUID {
		r.cfg.Logger.Warn("table was made anew; new events go to it, the old one's backlog stays with the old one",
			"table", name, "old_uuid", old.UUID, "new_uuid", t.UUID)
	}
	if known && reflect.DeepEqual(old, t) {
		return old, nil
	}
	if !known && len(*r.tables.Load()) >= r.cfg.MaxTables {
		return nil, tooManyError(r.cfg.MaxTables)
	}
	if err := r.store(t); err != nil {
		return nil, err
	}
	return t, nil
}

// store makes t durable, then visible. The caller holds writing.
func (r *Registry) store(t *Table) error {
	if err := writeRecord(r.meta, t); err != nil {
		return err
	}
	next := maps.Clone(*r.tables.Load())
	next[t.Name] = t
	r.tables.Store(&next)
	return nil
}

// catalogError sorts a catalog's error into those that trying again may mend and those that it will not.
func (r *Registry) catalogError(name string, err error) error {
	switch {
	case errors.Is(err, ErrTooManyTables), errors.Is(err, ErrUnknownTable):
		return err
	case errors.Is(err, catalog.ErrRejected):
		r.logBack(name)
		return rejected(name, err)
	case errors.Is(err, catalog.ErrNoTable):
		r.logBack(name)
		return fmt.Errorf("%w: %s is not in the catalog any more; PUT /tables/%s makes it anew", ErrUnknownTable, name, name)
	}
	r.logAway(name, err)
	return fmt.Errorf("%w: load or create table %s: %w", ErrUnavailable, name, err)
}

// awayEvery is how often it is logged that the catalog does not answer, however many tables are asked for meanwhile and
// however often: one line tells of an outage, and another after an hour only because nobody may ask for the table of the
// first one any more.
const awayEvery = time.Hour

func (r *Registry) logAway(name string, err error) {
	r.mu.Lock()
	now := r.cfg.Now()
	due := r.away == "" || now.Sub(r.awayAt) >= awayEvery
	if due {
		r.away, r.awayAt = name, now
	}
	r.mu.Unlock()
	if due {
		r.cfg.Logger.Error("catalog does not answer; requests for tables that are not known yet get 503", "table", name, "error", err.Error())
	}
}

// logBack says that the catalog answers again for the table that logAway named.
func (r *Registry) logBack(name string) {
	r.mu.Lock()
	back := r.away == name && name != ""
	if back {
		r.away = ""
	}
	r.mu.Unlock()
	if back {
		r.cfg.Logger.Info("catalog answers again", "table", name)
	}
}

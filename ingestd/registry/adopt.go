package registry

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"

	"firn/commitlib"
	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
)

// put is what a Put asks for; a look-up for an event has none.
type put struct {
	settings Settings
	created  *bool
}

// adopt loads the table, or makes it where that is allowed, and publishes it.
func (r *Registry) adopt(ctx context.Context, name string, p *put) (*Table, error) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.CatalogTimeout)
	defer cancel()
	id := r.Ident(name)
	ct, err := r.cat.Load(ctx, id)
	if errors.Is(err, catalog.ErrNoTable) {
		if _, known := r.Get(name); !known && len(*r.tables.Load()) >= r.cfg.MaxTables {
			return nil, tooManyError(r.cfg.MaxTables)
		}
		if p == nil && !r.cfg.AutoCreate {
			return nil, fmt.Errorf("%w: %s; tables are made by PUT /tables/%s here", ErrUnknownTable, name, name)
		}
		ct, err = r.create(ctx, id, p)
	}
	if err != nil {
		return nil, r.catalogError(name, err)
	}
	return r.publish(name, ct, p)
}

// create makes the table. Where another daemon was faster, or the answer was lost, the catalog's state decides.
func (r *Registry) create(ctx context.Context, id catalog.Ident, p *put) (*catalog.Table, error) {
	s := r.cfg.Defaults
	if p != nil {
		s = p.settings
	}
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
		if p != nil {
			*p.created = true
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
func (r *Registry) publish(name string, ct *catalog.Table, p *put) (*Table, error) {
	t, err := fit(ct)
	if err != nil {
		return nil, rejected(name, err)
	}
	t.Name = name

	r.writing.Lock()
	defer r.writing.Unlock()
	old, known := r.Get(name)
	payload, by := t.Settings.Payload, t.Settings.PartitionBy
	switch {
	case p != nil:
		t.Settings, t.Declared = p.settings, true
		if err := contradiction(name, t.Settings, payload, by); err != nil {
			return nil, err
		}
	case known:
		t.Settings, t.Declared, t.Stopped = old.Settings, old.Declared, old.Stopped
	default:
		t.Settings = r.cfg.Defaults.clone()
	}
	t.Settings.Payload, t.Settings.PartitionBy = payload, by

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
		return rejected(name, err)
	case errors.Is(err, catalog.ErrNoTable):
		return fmt.Errorf("%w: %s is not in the catalog any more; PUT /tables/%s makes it anew", ErrUnknownTable, name, name)
	}
	return fmt.Errorf("%w: load or create table %s: %w", ErrUnavailable, name, err)
}

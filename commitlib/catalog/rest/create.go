package rest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"

	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
)

// Create implements catalog.Catalog: one POST. The namespace is made where it is not there. The table goes under the
// configured root; where there is none, or the service takes no location, the service chooses.
func (c *Catalog) Create(ctx context.Context, id catalog.Ident, spec catalog.Spec) (*catalog.Table, error) {
	t, err := c.create(ctx, id, spec)
	if err != nil {
		return nil, fmt.Errorf("create table %s: %w", id, err)
	}
	return t, nil
}

// tableRequest is the specification's CreateTableRequest. It has no member for the format version: a property of a
// name that is never stored stands for it. Nessie demands stage-create, which the specification leaves to the client.
type tableRequest struct {
	Name       string                `json:"name"`
	Location   string                `json:"location,omitempty"`
	Schema     *iceberg.Schema       `json:"schema"`
	Spec       iceberg.PartitionSpec `json:"partition-spec"`
	Stage      bool                  `json:"stage-create"`
	Properties map[string]string     `json:"properties"`
}

func (c *Catalog) create(ctx context.Context, id catalog.Ident, spec catalog.Spec) (*catalog.Table, error) {
	if err := catalog.CheckIdent(id); err != nil {
		return nil, err
	}
	body := tableRequest{Name: id.Name, Schema: spec.Schema, Spec: spec.Partition, Properties: maps.Clone(spec.Properties)}
	if body.Properties == nil {
		body.Properties = map[string]string{}
	}
	body.Properties["format-version"] = strconv.Itoa(iceberg.FormatVersion)
	if c.cfg.Root != "" {
		body.Location = c.cfg.Root + "/" + id.Namespace + "/" + id.Name
	}
	t, err := c.createOnce(ctx, id, body)
	if errors.Is(err, errNoNamespace) {
		made := c.createNamespace(ctx, id.Namespace)
		if t, err = c.createOnce(ctx, id, body); errors.Is(err, errNoNamespace) {
			err = errors.Join(err, made)
		}
	}
	if errors.Is(err, catalog.ErrRejected) && body.Location != "" {
		body.Location = ""
		if t, again := c.createOnce(ctx, id, body); again == nil {
			c.log.Info("the catalog took no location for the table, and chose one", "table", id.String(), "location", t.Location)
			return t, nil
		} else if !errors.Is(again, catalog.ErrRejected) {
			return nil, again
		}
	}
	return t, err
}

func (c *Catalog) createOnce(ctx context.Context, id catalog.Ident, body tableRequest) (*catalog.Table, error) {
	began := c.now()
	a, err := c.send(ctx, request{endpoint: createTable, id: id, body: body, delegated: true, limit: MaxMetadataBytes})
	if err := answered(creating, a, err); err != nil {
		return nil, err
	}
	t, err := c.table(id, nil, nil, a, began)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", catalog.ErrUnknown, err)
	}
	return t, nil
}

// createNamespace makes a namespace, unless it is there.
func (c *Catalog) createNamespace(ctx context.Context, namespace string) error {
	body := struct {
		Namespace  []string          `json:"namespace"`
		Properties map[string]string `json:"properties"`
	}{[]string{namespace}, map[string]string{}}
	a, err := c.send(ctx, request{endpoint: createNamespace, body: body, limit: maxConfigBytes})
	if err := answered(naming, a, err); err != nil && !errors.Is(err, catalog.ErrTableExists) {
		return fmt.Errorf("create namespace %s: %w; or make it with another engine", namespace, err)
	}
	return nil
}

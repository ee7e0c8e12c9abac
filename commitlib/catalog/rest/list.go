package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"

	"firn/commitlib/catalog"
)

// maxListed and maxPages bound a list that a service never ends: far more tables than one process can serve, in the
// smallest pages that services give by themselves.
const (
	maxListed = 100_000
	maxPages  = 10_000
)

// List implements catalog.Catalog: one GET for each page. Tables whose names Firn does not take are left out.
func (c *Catalog) List(ctx context.Context, namespace string) ([]string, error) {
	names, err := c.list(ctx, namespace)
	if err != nil {
		return nil, fmt.Errorf("list tables of %s: %w", namespace, err)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

func (c *Catalog) list(ctx context.Context, namespace string) ([]string, error) {
	if err := catalog.CheckNamespace(namespace); err != nil {
		return nil, err
	}
	id := catalog.Ident{Namespace: namespace}
	var names []string
	// An empty token asks for pages, of the service's size; a service without pages sends all at once.
	for page, pages := "", 0; ; pages++ {
		a, err := c.send(ctx, request{
			endpoint: listTables, id: id, query: url.Values{"pageToken": {page}}, limit: MaxMetadataBytes,
		})
		err = answered(asking, a, err)
		if errors.Is(err, catalog.ErrNoTable) {
			return nil, nil // no such namespace, so no table in it
		}
		if err != nil {
			return nil, err
		}
		var got struct {
			Identifiers []identifier `json:"identifiers"`
			Next        string       `json:"next-page-token"`
		}
		if err := json.Unmarshal(a.body, &got); err != nil {
			return nil, fmt.Errorf("read the catalog's answer: %w", err)
		}
		for _, t := range got.Identifiers {
			if catalog.CheckIdent(catalog.Ident{Namespace: namespace, Name: t.Name}) == nil {
				names = append(names, t.Name)
			}
		}
		switch {
		case got.Next == "":
			return names, nil
		case got.Next == page || pages == maxPages || len(names) > maxListed:
			return nil, fmt.Errorf("the catalog's list does not end: %d tables on %d pages", len(names), pages+1)
		}
		page = got.Next
	}
}

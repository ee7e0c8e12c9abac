package maintain

import (
	"context"
	"math/rand/v2"

	"firn/commitlib/catalog"
)

// Tables returns what lists the tables of the namespaces, for NewRounds.
func Tables(cat catalog.Catalog, namespaces ...string) func(context.Context) ([]catalog.Ident, error) {
	return func(ctx context.Context) (ids []catalog.Ident, err error) {
		for _, namespace := range namespaces {
			names, err := cat.List(ctx, namespace)
			if err != nil {
				return nil, err
			}
			for _, name := range names {
				ids = append(ids, catalog.Ident{Namespace: namespace, Name: name})
			}
		}
		return ids, nil
	}
}

// Shuffled lists the same in another order each time, so that each table gets its turn where there is not time for all.
func Shuffled(tables func(context.Context) ([]catalog.Ident, error)) func(context.Context) ([]catalog.Ident, error) {
	return func(ctx context.Context) ([]catalog.Ident, error) {
		ids, err := tables(ctx)
		rand.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
		return ids, err
	}
}

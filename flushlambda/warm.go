package main

import (
	"context"
	"sync"
	"time"

	"firn/commitlib/iceberg"
	"firn/commitlib/manifest"
)

// warmTime bounds warming: a first batch that comes later opens its own connections.
const warmTime = 5 * time.Second

// warmKey is an object that need not be there: asking for it opens a connection and shows that the store answers.
const warmKey = "_firn/conditional-writes"

// warmNamespace is where the catalog is asked for a table that is not there, for the same reason.
const warmNamespace = "default"

// warm does ahead what the first commit would wait for: it opens two connections to the store, since a commit writes a
// manifest and a list side by side, and one to the catalog, and parses the schema of tables that say nothing about their
// partitions. It runs beside the first batch, which takes what is ready and waits for nothing. What it is refused, each
// batch will be: that is logged there.
func (svc *service) warm(ctx context.Context) {
	if spec, err := iceberg.EventSpec(nil); err == nil {
		_, _ = manifest.Write(iceberg.EventSchema(iceberg.String), spec, nil)
	}
	if !svc.settings.OnS3() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, warmTime)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := svc.warehouse.Check(ctx, warmNamespace); err != nil {
			svc.log.Info("connections were not opened ahead", "error", err.Error())
		}
	})
	wg.Go(func() { _, _ = svc.warehouse.Store.Head(ctx, warmKey) })
	wg.Wait()
}

package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"firn/commitlib"
	"firn/commitlib/warehouse"
)

// committer commits as the function does: a message of the queue to a table.
func committer(ctx context.Context) (func(job) (answer, error), error) {
	settings, err := warehouse.FromEnv(os.Getenv)
	if err != nil {
		return nil, err
	}
	quiet := slog.New(slog.DiscardHandler)
	settings.Logger = quiet
	w, err := warehouse.Open(ctx, settings)
	if err != nil {
		return nil, err
	}
	c := commitlib.New(w.Catalog, w.Store, commitlib.Config{Log: quiet})
	return func(j job) (answer, error) {
		return timed(func() error {
			if failed := c.Handle(ctx, []commitlib.Message{{ID: "1", Group: j.Group, Body: j.Message}}); len(failed) > 0 {
				return fmt.Errorf("the commit did not succeed")
			}
			return nil
		})
	}, nil
}

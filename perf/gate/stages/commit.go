package main

import (
	"context"
	"fmt"
	"log/slog"

	"firn/commitlib"
	"firn/commitlib/catalog"
	"firn/commitlib/catalog/objectstore"
	"firn/commitlib/objstore"
	"firn/perf/track"
)

// commits go to one table before a new one is made: a table's age costs time of its own.
const (
	commits       = 4
	filesOfCommit = 10
)

// commit hands a committer messages as the queue carries them.
func commit() func() (func() error, int, error) {
	return func() (func() error, int, error) {
		ctx := context.Background()
		store := objstore.NewMem("mem://warehouse")
		quiet := slog.New(slog.DiscardHandler)
		cat := objectstore.New(store, objectstore.Config{Logger: quiet})
		spec, err := track.Spec()
		if err != nil {
			return nil, 0, err
		}
		table, err := cat.Create(ctx, catalog.Ident{Namespace: "default", Name: "clicks"}, spec)
		if err != nil {
			return nil, 0, err
		}
		log, committer := track.New(table), commitlib.New(cat, store, commitlib.Config{Log: quiet})
		messages := make([]commitlib.Message, 1+commits)
		for i := range messages {
			if messages[i], err = track.Message(log.Request(filesOfCommit)); err != nil {
				return nil, 0, err
			}
		}
		handle := func(m commitlib.Message) error {
			if failed := committer.Handle(ctx, []commitlib.Message{m}); len(failed) > 0 {
				return fmt.Errorf("message %v was not committed", failed)
			}
			return nil
		}
		return func() error {
			for _, m := range messages[1:] {
				if err := handle(m); err != nil {
					return err
				}
			}
			return nil
		}, commits, handle(messages[0]) // the first makes the others warm
	}
}

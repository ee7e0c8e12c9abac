package main

import (
	"bytes"
	"context"
	"time"

	"github.com/google/uuid"

	"firn/commitlib/datafile"
	"firn/ingestd/event"
	"firn/ingestd/eventlog"
	"firn/ingestd/kv"
)

func decode() func() (func() error, int, error) {
	var all [][]byte
	limits, def := event.DefaultLimits(), defaults()
	return func() (func() error, int, error) {
		if all == nil {
			all = bodies(1)
		}
		const operations = requests
		return func() error {
			for i := range operations {
				body := all[i%requests]
				b := event.Get(len(body))
				if err := event.DecodeBulk(b, body, limits, def); err != nil {
					return err
				}
				b.Release()
			}
			return nil
		}, operations, nil
	}
}

// nothing is a store that takes every write and keeps none: what is left is the log's own cost.
type nothing struct{ *kv.Mem }

func (nothing) Write(*kv.Batch, bool) error { return nil }

func appends() func() (func() error, int, error) {
	const operations = requests
	var batches []*event.Batch
	return func() (func() error, int, error) {
		if batches == nil {
			for _, body := range bodies(2) {
				b := event.Get(len(body))
				if err := event.DecodeBulk(b, body, event.DefaultLimits(), defaults()); err != nil {
					return nil, 0, err
				}
				batches = append(batches, b)
			}
		}
		c := eventlog.Default()
		c.Schema = event.Schema
		l, err := eventlog.Open(nothing{kv.NewMem()}, c)
		if err != nil {
			return nil, 0, err
		}
		table := eventlog.Table{Name: "clicks", UUID: uuid.UUID{1}}
		return func() error {
			for i := range operations {
				a := eventlog.Append{Table: table, Batch: &batches[i%requests].Batch, ReceivedAt: time.UnixMicro(firstTime)}
				if _, err := l.Append(context.Background(), a); err != nil {
					return err
				}
			}
			return l.Close()
		}, operations, nil
	}
}

func encode() func() (func() error, int, error) {
	const events = 2500
	var run func() error
	return func() (func() error, int, error) {
		if run == nil {
			b, err := rows(events, 3)
			if err != nil {
				return nil, 0, err
			}
			e, err := datafile.NewEncoder(b.Schema, datafile.Default())
			if err != nil {
				return nil, 0, err
			}
			var file bytes.Buffer
			run = func() error {
				file.Reset()
				_, err := e.Encode(&file, b, nil)
				return err
			}
		}
		return run, 1, nil
	}
}

package main

import (
	"bytes"
	"context"
	"fmt"
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
	var batches []*event.Batch
	return func() (func() error, int, error) {
		var err error
		if batches == nil {
			if batches, err = decoded(2); err != nil {
				return nil, 0, err
			}
		}
		l, err := open(nothing{kv.NewMem()})
		if err != nil {
			return nil, 0, err
		}
		return func() error {
			if err := appendAll(l, batches); err != nil {
				return err
			}
			return l.Close()
		}, len(batches), nil
	}
}

func reads() func() (func() error, int, error) {
	const passes = 4
	var run func() error
	return func() (func() error, int, error) {
		if run != nil {
			return run, passes * requests, nil
		}
		batches, err := decoded(4)
		if err != nil {
			return nil, 0, err
		}
		l, err := open(kv.NewMem())
		if err != nil {
			return nil, 0, err
		}
		if err := appendAll(l, batches); err != nil {
			return nil, 0, err
		}
		track := l.Tracks()[0]
		run = func() error {
			events := 0
			for range passes {
				err := l.Read(context.Background(), track.Track, track.Low, track.High, func(rows eventlog.Rows) error {
					events += rows.Batch.Len
					return nil
				})
				if err != nil {
					return err
				}
			}
			if events != passes*requests*eventsOfRequest {
				return fmt.Errorf("the log gave %d events", events)
			}
			return nil
		}
		return run, passes * requests, nil
	}
}

// decoded are requests as the log takes them.
func decoded(seed uint64) ([]*event.Batch, error) {
	var batches []*event.Batch
	for _, body := range bodies(seed) {
		b := event.Get(len(body))
		if err := event.DecodeBulk(b, body, event.DefaultLimits(), defaults()); err != nil {
			return nil, err
		}
		batches = append(batches, b)
	}
	return batches, nil
}

func open(s kv.Store) (*eventlog.Log, error) {
	c := eventlog.Default()
	c.Schema = event.Schema
	return eventlog.Open(s, c)
}

// appendAll appends the batches, one after the other.
func appendAll(l *eventlog.Log, batches []*event.Batch) error {
	table := eventlog.Table{Name: "clicks", UUID: uuid.UUID{1}}
	for _, b := range batches {
		a := eventlog.Append{Table: table, Batch: &b.Batch, ReceivedAt: time.UnixMicro(firstTime)}
		if _, err := l.Append(context.Background(), a); err != nil {
			return err
		}
	}
	return nil
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

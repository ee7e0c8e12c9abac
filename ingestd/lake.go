package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"firn/commitlib"
	"firn/commitlib/awsenv"
	"firn/commitlib/fifo"
	"firn/commitlib/objstore"
	"firn/commitlib/warehouse"
	"firn/ingestd/commitq"
	"firn/ingestd/httpapi"
)

// lake is where the tables are, as package warehouse takes it. A directory's path becomes absolute: table metadata
// states absolute locations.
func (c Config) lake() warehouse.Settings {
	s := c.Lake
	s.Warehouse = c.Warehouse
	s = s.WithDefaults()
	if s.OnDisk() {
		if abs, err := filepath.Abs(s.Warehouse); err == nil {
			s.Warehouse = abs
		}
	}
	return s
}

// openWarehouse opens the store and the catalog, and returns the settings that it took. Nothing is sent.
func openWarehouse(cfg Config, logger *slog.Logger) (*warehouse.Warehouse, warehouse.Settings, error) {
	settings := cfg.lake()
	settings.Logger = logger
	if settings.OnS3() {
		account, err := awsenv.Load(settings.Getenv)
		if err != nil {
			return nil, settings, err
		}
		settings.AWS = &account
	}
	lake, err := warehouse.Open(context.Background(), settings)
	return lake, settings, err
}

// openLake opens the warehouse and the queue. Nothing is sent.
func (d *daemon) openLake() (err error) {
	var settings warehouse.Settings
	if d.lake, settings, err = openWarehouse(d.cfg, d.logger); err != nil {
		return err
	}
	if d.cfg.Queue != "" {
		return d.openSQS(*settings.AWS)
	}
	d.commit = commitlib.New(d.lake.Catalog, d.lake.Store, commitlib.Config{Log: d.logger, Phase: d.phases.Record})
	qc := commitq.DefaultConfig()
	qc.Done = func(group string) { d.shipper.Notify(group) }
	if d.queue, err = commitq.NewInProcess(d.commit.Handle, qc); err != nil {
		return fmt.Errorf("make commit queue: %w", err)
	}
	return nil
}

func (d *daemon) openSQS(account aws.Config) (err error) {
	if d.fifo, err = fifo.New(fifo.Config{AWS: account, URL: d.cfg.Queue, Endpoint: awsenv.Endpoint(d.cfg.Lake.Getenv, "sqs")}); err != nil {
		return fmt.Errorf("-queue: %w", err)
	}
	qc := commitq.DefaultSQSConfig()
	qc.Logger = d.logger
	sqs, err := commitq.NewSQS(d.fifo, d.lake.Store, qc)
	if err != nil {
		return fmt.Errorf("make commit queue: %w", err)
	}
	d.queue = sqs
	d.checks = append(d.checks, httpapi.Check{Name: "queue", Check: sqs.Reachable})
	return nil
}

// The proof that a start asks of its surroundings.
const (
	proofTimeout  = 10 * time.Second
	proofRetryMin = time.Second
	proofRetryMax = time.Minute // an operator takes minutes; each try is a few requests
)

// prove asks whether the warehouse can be read and written, and honours exclusive creation, and whether the queue is one
// that requests can go to. Until it has succeeded once, nothing is shipped.
func (d *daemon) prove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, proofTimeout)
	defer cancel()
	err := d.lake.Check(ctx, d.cfg.Namespace)
	if err == nil && !d.cfg.Check {
		err = d.lake.Prove(ctx)
	}
	if d.fifo == nil {
		return err
	}
	_, qerr := d.fifo.Attributes(ctx)
	if qerr != nil {
		qerr = fmt.Errorf("-queue: %w", qerr)
	}
	return errors.Join(err, qerr)
}

// mustAct reports whether an error of prove stays until somebody changes a setting or a permission.
func mustAct(err error) bool {
	return errors.Is(err, objstore.ErrFatal) || errors.Is(err, warehouse.ErrUnconditional) ||
		errors.As(err, new(*fifo.Error)) && fifo.KindOf(err) == fifo.Misconfigured
}

// settleIn is prove at a start. A mistake in the settings ends a start that has nothing to keep: whoever sets a daemon up
// is there to read it. One that holds acked events or knows tables starts all the same, and takes what it can, until the
// mistake is put right: nothing that was acked waits for a restart then. A store that overwrites what it was told to
// create exclusively ends any start.
func (d *daemon) settleIn(ctx context.Context) error {
	err := d.prove(ctx)
	holds := len(d.tables.List()) > 0
	for _, t := range d.log.Tracks() {
		holds = holds || t.High > t.Committed
	}
	switch {
	case err == nil:
		d.proven.Store(true)
		return nil
	case errors.Is(err, warehouse.ErrUnconditional), mustAct(err) && !holds:
		return err
	}
	d.tellUnproven(err)
	return nil
}

// unshipped is readiness's question whether shipping has begun. The other checks do not tell: they write nothing.
func (d *daemon) unshipped(context.Context) error {
	if err := d.doubt.Load(); err != nil && !d.proven.Load() {
		return fmt.Errorf("nothing is shipped yet: %w", *err)
	}
	return nil
}

// tellUnproven logs once that nothing can be shipped, and once more if that turns out to need somebody who acts.
func (d *daemon) tellUnproven(err error) {
	d.doubt.Store(&err)
	act := mustAct(err)
	if d.unproven && (d.unprovenAct || !act) {
		return
	}
	d.unproven, d.unprovenAct = true, act
	d.logger.Error("nothing can be shipped yet; events of known tables are acked and wait in the log, and it is tried again", "error", err.Error())
}

// awaitProof returns nil once prove has succeeded, or at ctx's end; its error is a store that must not be written to.
func (d *daemon) awaitProof(ctx context.Context) error {
	for wait := proofRetryMin; !d.proven.Load(); wait = min(2*wait, proofRetryMax) {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		switch err := d.prove(ctx); {
		case err == nil:
			d.proven.Store(true)
			d.logger.Info("shipping can begin: the warehouse and the queue answer")
		case errors.Is(err, warehouse.ErrUnconditional):
			return err
		case ctx.Err() == nil:
			d.tellUnproven(err)
		}
	}
	return nil
}

// lakeCheckEvery is how often readiness asks a store on the network: shipping shows sooner that it is away, and each
// question costs money.
const lakeCheckEvery = 15 * time.Second

// lakeCheck is readiness's question to the warehouse.
func (d *daemon) lakeCheck() httpapi.Check {
	c := httpapi.Check{Name: "warehouse", Check: func(ctx context.Context) error { return d.lake.Check(ctx, d.cfg.Namespace) }}
	if !d.cfg.lake().OnDisk() {
		c.Every = lakeCheckEvery
	}
	return c
}

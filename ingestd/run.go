package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"firn/commitlib"
	"firn/commitlib/fifo"
	"firn/commitlib/maintain"
	"firn/commitlib/warehouse"
	"firn/ingestd/commitq"
	"firn/ingestd/event"
	"firn/ingestd/eventlog"
	"firn/ingestd/httpapi"
	"firn/ingestd/phase"
	"firn/ingestd/registry"
	"firn/ingestd/ship"
)

// SIGTERM ends the daemon within 10 s. Requests under way get the larger part: what was accepted is acked.
const (
	requestsEnd = 6 * time.Second
	commitsEnd  = 2 * time.Second
)

// daemon is the wired parts of one run.
type daemon struct {
	cfg     Config
	logger  *slog.Logger
	phases  *phase.Recorder
	kv      closer
	log     *eventlog.Log
	lake    *warehouse.Warehouse
	queue   queue
	fifo    *fifo.Queue // that queue sends to; nil: it has its committer in this process
	checks  []httpapi.Check
	tables  *registry.Registry
	commit  *commitlib.Committer // nil: another process commits, behind the queue
	shipper *ship.Shipper
	rounds  *maintain.Rounds // of sweeps
	// rewrites are the rounds of what changes tables; apart, since they come more often and take longer.
	rewrites *maintain.Rounds
	api      *httpapi.API
	meter    *meter    // nil: metrics are not written
	stdout   io.Writer // where they would be

	proven                atomic.Bool           // prove has succeeded once
	doubt                 atomic.Pointer[error] // why it had not, the last time; readiness shows it until it has
	unproven, unprovenAct bool                  // what the log says of it until then; settleIn's, then awaitProof's
}

type closer interface{ Close() error }

// queue is a commit queue that this process owns.
type queue interface {
	commitq.Queue
	Stats() commitq.Stats
	Close(ctx context.Context) error
}

// run starts the daemon and returns when ctx ends, when a drain is done, or when the log breaks.
func run(ctx context.Context, cfg Config, phaseFile string, stdout io.Writer, logger *slog.Logger) (err error) {
	d := &daemon{cfg: cfg, logger: logger, stdout: stdout}
	if d.phases, err = phase.Open(phaseFile); err != nil {
		return err
	}
	if err := ensureDirs(cfg); err != nil {
		return err
	}
	if err := d.openLog(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.log.Close(), d.kv.Close()) }()
	if err := d.wire(); err != nil {
		return err
	}
	d.logFound()
	if err := d.settleIn(ctx); err != nil {
		return err
	}
	return d.serve(ctx)
}

// logFound says in one line what the start goes on from.
func (d *daemon) logFound() {
	logs, tables, backlog := map[uuid.UUID]bool{}, map[uuid.UUID]bool{}, uint64(0)
	tracks := d.log.Tracks()
	for _, t := range tracks {
		logs[t.Log], tables[t.Table.UUID] = true, true
		backlog += uint64(t.High - t.Committed)
	}
	d.logger.Info("found in the data directory", "logs", len(logs), "tracks", len(tracks), "tables_in_logs", len(tables),
		"backlog_events", backlog, "known_tables", len(d.tables.List()))
}

// logDir is RocksDB's folder: all that an acked event needs lies in it.
func logDir(c Config) string { return filepath.Join(c.Data, "log") }

// logConfig is the event log's part of the configuration.
func logConfig(c Config) eventlog.Config {
	lc := eventlog.Default()
	lc.Schema = event.Schema
	lc.MaxBytes = int64(c.LogBytes)
	lc.MaxTableBytes = int64(float64(c.LogBytes) * c.TableShare)
	lc.DedupWindow = c.DedupWindow
	lc.DedupBytes = int64(c.DedupBytes)
	lc.ReserveBytes = int64(c.DiskReserve)
	lc.BallastBytes = int64(c.DiskReserve) / 4
	lc.BallastPath = filepath.Join(c.Data, "ballast")
	lc.FreeSpace = func() (int64, error) { return freeSpace(c.Data) }
	return lc
}

// check looks at what a start would need, and makes nothing.
func check(c Config) error {
	if err := errors.Join(checkDirs(c), logConfig(c).Validate()); err != nil || c.lake().OnDisk() {
		return err
	}
	d := &daemon{cfg: c, logger: slog.New(slog.DiscardHandler)}
	if err := d.openLake(); err != nil {
		return err
	}
	return d.prove(context.Background())
}

// openLog opens the event log, and refuses one that another ingestd has open or that is damaged.
func (d *daemon) openLog() error {
	lc := logConfig(d.cfg)
	lc.Phase = d.phases.Record
	if err := lc.Validate(); err != nil {
		return err
	}
	store, err := openRocks(logDir(d.cfg), d.cfg.Salvage, lc, d.logger)
	if err != nil {
		return err
	}
	if d.log, err = eventlog.Open(store, lc); err != nil {
		return errors.Join(err, store.Close())
	}
	d.kv = store
	return nil
}

// wire connects the parts. Nothing runs yet but the log's writer.
func (d *daemon) wire() (err error) {
	if err := d.openLake(); err != nil {
		return err
	}

	rc := registry.DefaultConfig()
	rc.Namespace = d.cfg.Namespace
	rc.Root = d.lake.Store.Root()
	rc.AutoCreate = d.cfg.AutoCreate
	rc.Defaults.CutInterval = registry.Duration(d.cfg.CutInterval)
	rc.Defaults.HotRetention = registry.Duration(d.cfg.HotRetention)
	rc.Logger = d.logger
	if d.tables, err = registry.Open(d.lake.Catalog, d.log, rc); err != nil {
		return fmt.Errorf("open table registry: %w", err)
	}

	sc := ship.DefaultConfig()
	if !d.cfg.lake().OnDisk() {
		sc = ship.OnNetwork()
	}
	sc.MaxSegmentBytes = int64(d.cfg.SegmentBytes)
	sc.EncodeWorkers = d.cfg.EncodeWorkers
	sc.Phase = d.phases.Record
	sc.Logger = d.logger
	d.shipper, err = ship.New(ship.Deps{Log: d.log, Registry: d.tables, Catalog: d.lake.Catalog, Store: d.lake.Store, Queue: d.queue}, sc)
	if err != nil {
		return fmt.Errorf("make shipper: %w", err)
	}

	d.rounds = newRounds(d.lake, d.cfg, d.logger)
	d.rounds.Held = d.held
	if d.rewrites, err = d.newRewrites(); err != nil {
		return err
	}

	hc := httpapi.Default()
	hc.Limits.MaxBodyBytes = int(d.cfg.BodyBytes)
	hc.Limits.MaxEventBytes = int(d.cfg.EventBytes)
	hc.InFlightBytes = int64(d.cfg.InFlight)
	hc.ReplyWithin = d.cfg.ReplyWithin
	hc.Drain = d.cfg.Drain
	metrics := httpapi.NewMetrics(prometheus.NewRegistry())
	sources := httpapi.Sources{Log: d.log.Stats, Ship: d.shipper.Stats, Tables: d.shipper.Statuses, Queue: d.queue.Stats, Maintain: d.counters}
	if d.commit != nil {
		sources.Commits = d.commit.Counters
	}
	metrics.Collect(sources)
	d.api, err = httpapi.New(httpapi.Deps{
		Log: d.log, Registry: d.tables, Shipper: d.shipper, Logger: d.logger, Version: version, Now: time.Now,
		Metrics: metrics, Maintain: d.maintainTable,
		Checks: append(d.checks, d.lakeCheck(), httpapi.Check{Name: "proof", Check: d.unshipped}),
	}, hc)
	if err != nil || !d.cfg.MetricsEMF {
		return err
	}
	d.meter, err = newMeter(d.stdout, d.lake.Store.Root(), sources, func() bool { return d.api.Unready(context.Background()) })
	return err
}

// serve runs the daemon until ctx ends, the drain is done, or a part breaks; then it stops the parts in order.
func (d *daemon) serve(ctx context.Context) (err error) {
	stopAdmin, err := d.serveAdmin()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopAdmin()) }()
	listener, err := listen("listen", d.cfg.Listen, "127.0.0.1:8081")
	if err != nil {
		return err
	}
	addr := listener.Addr().String()
	if err := writeAddr(filepath.Join(d.cfg.Data, "http.addr"), addr); err != nil {
		return errors.Join(err, listener.Close())
	}
	shipCtx, stopShipping := context.WithCancel(context.Background())
	defer stopShipping()
	server := httpapi.NewServer(d.api)
	served, shipped, drained := make(chan error, 1), make(chan error, 1), make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	go func() {
		if err := d.awaitProof(shipCtx); err != nil {
			shipped <- err
			return
		}
		shipped <- d.shipper.Run(shipCtx)
	}()
	if d.cfg.Drain {
		go func() { drained <- d.shipper.Drain(ctx) }()
	}
	var background sync.WaitGroup
	if d.meter != nil {
		background.Go(func() { d.meter.run(shipCtx, d.logger) })
	}
	maintaining, stopMaintaining := context.WithCancel(ctx)
	defer stopMaintaining()
	for _, r := range d.maintenance() {
		background.Go(func() { d.maintain(maintaining, r) })
	}
	d.logger.Info("listening", "addr", addr, "warehouse", d.lake.Store.Root(), "drain", d.cfg.Drain)

	running := 1 // shipper
	select {
	case <-ctx.Done():
		d.logger.Info("stopping", "reason", context.Cause(ctx).Error())
		if d.cfg.Drain {
			err = <-drained // it ends with ctx, and names what is left: status 0 would say that the directory can go
		}
	case err = <-served:
	case err = <-d.log.Fatal():
		err = fmt.Errorf("the event log broke, nothing is acked from here on; what was acked is safe and is found again at the next start: %w", err)
	case err = <-shipped:
		running = 0
	case err = <-drained:
		if err == nil {
			d.logger.Info("drained: every event is committed")
		}
	}

	stopMaintaining()
	requests, cancel := context.WithTimeout(context.Background(), requestsEnd)
	defer cancel()
	err = errors.Join(err, server.Shutdown(requests))
	stopShipping()
	commits, cancel := context.WithTimeout(context.Background(), commitsEnd)
	defer cancel()
	if cerr := d.queue.Close(commits); cerr != nil {
		d.logger.Info("commit requests were given up; the next start sends them again", "error", cerr.Error())
	}
	if running > 0 {
		err = errors.Join(err, <-shipped)
	}
	background.Wait()
	return err
}

// writeAddr leaves the address where scripts find it, since -listen may ask for any free port.
func writeAddr(path, addr string) error {
	if err := os.WriteFile(path+".new", []byte(addr), 0o644); err != nil {
		return fmt.Errorf("write address file: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write address file: %w", err)
	}
	return nil
}

// freeSpace is what an unprivileged process may still write on the volume of dir.
func freeSpace(dir string) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, fmt.Errorf("read free space of %s: %w", dir, err)
	}
	return int64(s.Bavail) * s.Bsize, nil
}

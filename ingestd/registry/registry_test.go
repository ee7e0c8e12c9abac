package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"firn/commitlib"
	"firn/commitlib/catalog"
	"firn/commitlib/catalog/objectstore"
	"firn/commitlib/iceberg"
	"firn/commitlib/objstore"
)

// memMeta is the log's durable map; what a registry put there before it answered survives reopening.
type memMeta struct {
	mu   sync.Mutex
	m    map[string][]byte
	fail error
}

func (m *memMeta) PutMeta(key string, value []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	m.m[key] = slices.Clone(value)
	return nil
}

func (m *memMeta) IterMeta(prefix string, fn func(string, []byte) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k, v := range m.m {
		if strings.HasPrefix(k, prefix) {
			if err := fn(k, v); err != nil {
				return err
			}
		}
	}
	return nil
}

// counted counts and disturbs the calls to a catalog.
type counted struct {
	catalog.Catalog
	loads, creates atomic.Int64
	fault          func(op string) error
	latency        time.Duration
}

func (c *counted) before(ctx context.Context, op string) error {
	if c.latency > 0 {
		select {
		case <-time.After(c.latency):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if c.fault != nil {
		return c.fault(op)
	}
	return nil
}

func (c *counted) Load(ctx context.Context, id catalog.Ident) (*catalog.Table, error) {
	c.loads.Add(1)
	if err := c.before(ctx, "load"); err != nil {
		return nil, err
	}
	return c.Catalog.Load(ctx, id)
}

func (c *counted) Create(ctx context.Context, id catalog.Ident, spec catalog.Spec) (*catalog.Table, error) {
	c.creates.Add(1)
	if err := c.before(ctx, "create"); err != nil {
		return nil, err
	}
	return c.Catalog.Create(ctx, id, spec)
}

type rig struct {
	*testing.T
	store *objstore.Mem
	real  *objectstore.Catalog
	cat   *counted
	meta  *memMeta
	cfg   Config
}

func newRig(t *testing.T) *rig {
	store := objstore.NewMem("mem://w")
	cat := objectstore.New(store, objectstore.Config{Logger: slog.New(slog.DiscardHandler)})
	cfg := DefaultConfig()
	cfg.Logger = slog.New(slog.DiscardHandler)
	return &rig{T: t, store: store, real: cat, cat: &counted{Catalog: cat}, meta: &memMeta{m: map[string][]byte{}}, cfg: cfg}
}

func (r *rig) open() *Registry {
	r.Helper()
	reg, err := Open(r.cat, r.meta, r.cfg)
	if err != nil {
		r.Fatal(err)
	}
	return reg
}

func TestFirstEventMakesTheTableOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.cat.latency = time.Second
		reg := r.open()
		var wg sync.WaitGroup
		tables := make([]*Table, 50)
		for i := range tables {
			wg.Go(func() {
				tab, err := reg.Ensure(t.Context(), "clicks")
				if err != nil {
					t.Error(err)
				}
				tables[i] = tab
			})
		}
		wg.Wait()
		for _, tab := range tables {
			if tab != tables[0] {
				t.Fatal("callers got different tables")
			}
		}
		if l, c := r.cat.loads.Load(), r.cat.creates.Load(); l != 1 || c != 1 {
			t.Errorf("%d loads and %d creates, want one each", l, c)
		}
		ct, err := r.real.Load(t.Context(), catalog.Ident{Namespace: "default", Name: "clicks"})
		if err != nil {
			t.Fatal(err)
		}
		if ct.Metadata.TableUUID != tables[0].UUID || ct.Metadata.Properties[commitlib.PropProtocol] == "" {
			t.Errorf("the catalog has %s, %v", ct.Metadata.TableUUID, ct.Metadata.Properties)
		}
		if got := ct.Metadata.DefaultSpec().Fields[0].Transform; got != "hour" {
			t.Errorf("partitioned by %s", got)
		}
	})
}

// A restart must ack without its catalog, by the same UUID, schema and settings.
func TestRestartNeedsNoCatalog(t *testing.T) {
	r := newRig(t)
	reg := r.open()
	s := reg.Defaults()
	s.Payload, s.PartitionBy, s.HotRetention = PayloadBinary, []string{"day", "partition"}, Duration(time.Hour)
	put, created, err := reg.Put(t.Context(), "raw", exactly(s))
	if err != nil || !created {
		t.Fatal(created, err)
	}
	plain, err := reg.Ensure(t.Context(), "clicks")
	if err != nil {
		t.Fatal(err)
	}
	r.cat.fault = func(string) error { return errors.New("unplugged") }
	r.cfg.Defaults.CutInterval = Duration(time.Second)
	r.cfg.Defaults.Payload = PayloadBinary
	again := r.open()
	for _, want := range []*Table{put, plain} {
		got, err := again.Ensure(t.Context(), want.Name)
		if err != nil {
			t.Fatal(err)
		}
		if got.UUID != want.UUID || got.Location != want.Location || commitlib.SchemaHash(got.Schema) != commitlib.SchemaHash(want.Schema) ||
			commitlib.SpecHash(&got.Spec) != commitlib.SpecHash(&want.Spec) || got.Binary() != want.Binary() {
			t.Errorf("%s: got %+v, want %+v", want.Name, got, want)
		}
	}
	if got, _ := again.Get("raw"); got.Settings.HotRetention != put.Settings.HotRetention || got.Settings.CutInterval != put.Settings.CutInterval {
		t.Errorf("settings given by Put changed: %+v", got.Settings)
	}
	if got, _ := again.Get("clicks"); got.Settings.CutInterval != Duration(time.Second) || got.Settings.Payload != PayloadText {
		t.Errorf("a table that nobody described does not follow the defaults: %+v", got.Settings)
	}
}

func TestNothingIsKnownBeforeItIsDurable(t *testing.T) {
	r := newRig(t)
	reg := r.open()
	r.meta.fail = errors.New("disk is gone")
	if _, err := reg.Ensure(t.Context(), "clicks"); !errors.Is(err, r.meta.fail) {
		t.Errorf("got %v", err)
	}
	if _, ok := reg.Get("clicks"); ok {
		t.Error("the table is known")
	}
}

func TestRefusals(t *testing.T) {
	r := newRig(t)
	r.cfg.AutoCreate = false
	reg := r.open()
	if _, err := reg.Ensure(t.Context(), "clicks"); !errors.Is(err, ErrUnknownTable) {
		t.Errorf("made a table by an event: %v", err)
	}
	if _, _, err := reg.Put(t.Context(), "clicks", exactly(reg.Defaults())); err != nil {
		t.Errorf("did not make a table by Put: %v", err)
	}
	if _, err := reg.Ensure(t.Context(), "clicks"); err != nil {
		t.Errorf("a refusal outlived its Put: %v", err)
	}
	var name *NameError
	if _, err := reg.Ensure(t.Context(), "Clicks!"); !errors.As(err, &name) || name.Suggestion != "clicks" {
		t.Errorf("got %v", err)
	}
	if _, err := r.real.Create(t.Context(), catalog.Ident{Namespace: "default", Name: "theirs"},
		catalog.Spec{Schema: iceberg.EventSchema(iceberg.String)}); err != nil {
		t.Fatal(err)
	}
	var rej *RejectedError
	if _, err := reg.Ensure(t.Context(), "theirs"); !errors.As(err, &rej) || !errors.Is(err, commitlib.ErrNotFirn) {
		t.Errorf("got %v", err)
	}
	s := reg.Defaults()
	s.CutInterval, s.Payload, s.PartitionBy = 0, "xml", []string{"week"}
	_, _, err := reg.Put(t.Context(), "other", exactly(s))
	for _, field := range []string{"cut_interval", "payload", "partition_by"} {
		if !errors.Is(err, ErrBadSettings) || !strings.Contains(err.Error(), field) {
			t.Errorf("%s is not named: %v", field, err)
		}
	}
}

func TestTooManyTables(t *testing.T) {
	r := newRig(t)
	r.cfg.MaxTables = 2
	reg := r.open()
	for i := range 2 {
		if _, err := reg.Ensure(t.Context(), fmt.Sprintf("t%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := reg.Ensure(t.Context(), "t2"); !errors.Is(err, ErrTooManyTables) {
		t.Errorf("got %v", err)
	}
	if _, err := reg.Ensure(t.Context(), "t1"); err != nil {
		t.Errorf("a known table is refused: %v", err)
	}
	if r.cat.creates.Load() != 2 {
		t.Error("the refused table was made")
	}
}

// An operator must find the reason in the log, and not once for each request.
func TestCatalogDownIsLogged(t *testing.T) {
	r := newRig(t)
	var log strings.Builder
	r.cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
	now := time.Unix(1_800_000_000, 0)
	r.cfg.Now = func() time.Time { return now }
	reg := r.open()
	r.cat.fault = func(string) error { return errors.New("unplugged") }
	f := func(lines int) {
		t.Helper()
		for i := range 5 {
			if _, err := reg.Ensure(t.Context(), fmt.Sprintf("t%d", i)); !errors.Is(err, ErrUnavailable) {
				t.Errorf("got %v", err)
			}
		}
		if got := strings.Count(log.String(), "unplugged"); got != lines {
			t.Errorf("%d lines, want %d:\n%s", got, lines, log.String())
		}
	}
	f(1)
	now = now.Add(10 * time.Minute)
	f(1)
	now = now.Add(awayEvery)
	f(2)
	r.cat.fault = nil
	now = now.Add(time.Minute)
	for i := range 5 {
		if _, err := reg.Ensure(t.Context(), fmt.Sprintf("t%d", i)); err != nil {
			t.Errorf("got %v", err)
		}
	}
	if got := strings.Count(log.String(), "answers again"); got != 1 {
		t.Errorf("its return is told %d times", got)
	}
	r.cat.fault = func(string) error { return errors.New("unplugged") }
	if _, err := reg.Ensure(t.Context(), "t9"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if got := strings.Count(log.String(), "unplugged"); got != 3 {
		t.Errorf("a second outage: %d lines, want 3", got)
	}
}

// A table that somebody made in another bucket could not be shipped to: its first event is refused, not acked.
func TestTableOutsideTheWarehouse(t *testing.T) {
	r := newRig(t)
	r.cfg.Root = "s3://elsewhere/lake"
	var reject *RejectedError
	if _, err := r.open().Ensure(t.Context(), "clicks"); !errors.As(err, &reject) || !strings.Contains(err.Error(), "outside the warehouse s3://elsewhere/lake") {
		t.Errorf("got %v", err)
	}
}

// The catalog is down: waiting is bounded, a producer that retries does not reach it each
// time, and its return is noticed soon.
func TestCatalogDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.cat.latency = time.Hour
		reg := r.open()
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := reg.Ensure(ctx, "clicks"); !errors.Is(err, ErrUnavailable) || time.Since(start) != time.Second {
			t.Errorf("got %v after %s", err, time.Since(start))
		}
		if _, err := reg.Ensure(t.Context(), "clicks"); !errors.Is(err, ErrUnavailable) || time.Since(start) != r.cfg.CatalogTimeout {
			t.Errorf("got %v after %s", err, time.Since(start))
		}
		for range 1000 {
			if _, err := reg.Ensure(t.Context(), "clicks"); !errors.Is(err, ErrUnavailable) {
				t.Fatal(err)
			}
		}
		if n := r.cat.loads.Load(); n != 1 {
			t.Errorf("%d loads", n)
		}
		r.cat.latency = 0
		time.Sleep(refusalAge)
		if _, err := reg.Ensure(t.Context(), "clicks"); err != nil {
			t.Error(err)
		}
	})
}

func TestInventedNamesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.cfg.AutoCreate = false
		reg := r.open()
		r.cat.latency = time.Second
		var wg sync.WaitGroup
		var refused atomic.Int64
		for i := range 1000 {
			wg.Go(func() {
				if _, err := reg.Ensure(t.Context(), fmt.Sprintf("t%d", i)); errors.Is(err, ErrUnavailable) {
					refused.Add(1)
				}
			})
		}
		wg.Wait()
		if n := r.cat.loads.Load(); n != maxLookups || refused.Load() != 1000-maxLookups {
			t.Errorf("%d loads at once, %d refused", n, refused.Load())
		}
		r.cat.latency = 0
		for i := range 3 * maxRefusals {
			_, _ = reg.Ensure(t.Context(), fmt.Sprintf("u%d", i))
			if i == 2*maxRefusals {
				time.Sleep(refusalAge)
			}
		}
		if len(reg.refusals) > maxRefusals {
			t.Errorf("%d refusals are remembered", len(reg.refusals))
		}
	})
}

// Create's answers: somebody else was faster, the answer was lost.
func TestCreateRacesAndLostAnswers(t *testing.T) {
	for _, answer := range []error{catalog.ErrTableExists, catalog.ErrUnknown} {
		r := newRig(t)
		reg := r.open()
		spec, err := iceberg.EventSpec(nil)
		if err != nil {
			t.Fatal(err)
		}
		r.cat.fault = func(op string) error {
			if op != "create" {
				return nil
			}
			if _, err := r.real.Create(t.Context(), catalog.Ident{Namespace: "default", Name: "clicks"}, catalog.Spec{
				Schema: iceberg.EventSchema(iceberg.String), Partition: spec, Properties: commitlib.NewTableProperties()}); err != nil {
				t.Fatal(err)
			}
			return answer
		}
		if _, err := reg.Ensure(t.Context(), "clicks"); err != nil {
			t.Errorf("%v: %v", answer, err)
		}
	}
}

// The answer was lost and the table is not there (yet): that is worth another try, and said so.
func TestCreateOfUnknownOutcome(t *testing.T) {
	r := newRig(t)
	reg := r.open()
	r.cat.fault = func(op string) error {
		if op == "create" {
			return catalog.ErrUnknown
		}
		return nil
	}
	if _, err := reg.Ensure(t.Context(), "clicks"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

// exactly is the change to these settings, whatever they were.
func exactly(want Settings) Change {
	return func(s *Settings) error { *s = want; return nil }
}

// What a Put leaves out stays as it is: over a restart, after Delete, and on tables
// that others made or that are made anew.
func TestPutChangesOnlyWhatItNames(t *testing.T) {
	r := newRig(t)
	reg := r.open()
	nothing := func(*Settings) error { return nil }
	first, _, err := reg.Put(t.Context(), "raw", func(s *Settings) error {
		s.Payload, s.PartitionBy, s.CutInterval = PayloadBinary, []string{"day", "partition"}, Duration(time.Second)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if again, created, err := reg.Put(t.Context(), "raw", nothing); err != nil || created || again != first {
		t.Errorf("an empty Put changed %+v to %+v (%v)", first, again, err)
	}
	if err := reg.Delete(t.Context(), "raw"); err != nil {
		t.Fatal(err)
	}
	reg = r.open()
	after, _, err := reg.Put(t.Context(), "raw", func(s *Settings) error { s.HotRetention = Duration(time.Hour); return nil })
	if err != nil || after.Stopped || !after.Binary() || after.Settings.CutInterval != Duration(time.Second) || after.Settings.HotRetention != Duration(time.Hour) ||
		len(after.Settings.PartitionBy) != 2 {
		t.Errorf("after Delete and Put: %+v, %v", after, err)
	}
	stranger := &rig{T: t, store: r.store, real: r.real, cat: r.cat, meta: &memMeta{m: map[string][]byte{}}, cfg: r.cfg}
	if theirs, created, err := stranger.open().Put(t.Context(), "raw", nothing); err != nil || created || !theirs.Binary() || theirs.Settings.CutInterval != DefaultSettings().CutInterval {
		t.Errorf("a table of another daemon: %+v, %v", theirs, err)
	}

	if err := r.store.List(t.Context(), "default/raw/", func(i objstore.Info) error { return r.store.Delete(t.Context(), i.Key) }); err != nil {
		t.Fatal(err)
	}
	r.cat.Catalog = objectstore.New(r.store, objectstore.Config{Logger: slog.New(slog.DiscardHandler)})
	anew, created, err := reg.Put(t.Context(), "raw", nothing)
	if err != nil || !created || anew.UUID == first.UUID || !anew.Binary() || anew.Settings.HotRetention != Duration(time.Hour) {
		t.Errorf("made anew: %+v, created %v, %v", anew, created, err)
	}

	failed := errors.New("unreadable")
	if _, _, err := reg.Put(t.Context(), "raw", func(*Settings) error { return failed }); !errors.Is(err, failed) {
		t.Errorf("got %v", err)
	}
	kept, _, err := reg.Put(t.Context(), "raw", func(s *Settings) error { s.TableRetention = Duration(Day); return nil })
	if err != nil || kept.Settings.TableRetention != Duration(Day) {
		t.Errorf("a retention of a day: %+v, %v", kept, err)
	}
	if _, _, err := reg.Put(t.Context(), "raw", func(s *Settings) error { s.PartitionBy = []string{}; return nil }); !errors.Is(err, ErrBadSettings) || !strings.Contains(err.Error(), `["none"]`) {
		t.Errorf("got %v", err)
	}
}

// Find makes no table, and neither its answer nor Ensure's is taken for the other's.
func TestFindMakesNoTable(t *testing.T) {
	r := newRig(t)
	reg := r.open()
	if _, err := reg.Find(t.Context(), "clicks"); !errors.Is(err, ErrUnknownTable) || r.cat.creates.Load() != 0 {
		t.Errorf("got %v, %d tables made", err, r.cat.creates.Load())
	}
	made, err := reg.Ensure(t.Context(), "clicks") // at once: what Find remembers is not Ensure's
	if err != nil {
		t.Fatal(err)
	}
	if got, err := reg.Find(t.Context(), "clicks"); err != nil || got != made {
		t.Errorf("%+v, %v", got, err)
	}
	stranger := &rig{T: t, store: r.store, real: r.real, cat: r.cat, meta: &memMeta{m: map[string][]byte{}}, cfg: r.cfg}
	if got, err := stranger.open().Find(t.Context(), "clicks"); err != nil || got.UUID != made.UUID {
		t.Errorf("a table of another daemon: %+v, %v", got, err)
	}
}

func TestPutIsIdempotentAndNamesContradictions(t *testing.T) {
	r := newRig(t)
	reg := r.open()
	first, created, err := reg.Put(t.Context(), "clicks", exactly(reg.Defaults()))
	if err != nil || !created {
		t.Fatal(created, err)
	}
	again, created, err := reg.Put(t.Context(), "clicks", exactly(reg.Defaults()))
	if err != nil || created || again != first {
		t.Errorf("the same Put changed something: %v %v", created, err)
	}
	s := reg.Defaults()
	s.CutInterval, s.HotRetention = Duration(time.Second), Duration(time.Hour)
	s.TimeWindowBack, s.TargetFileBytes = Duration(1000*Day), 1<<28
	s.PartitionBy = []string{"hour"}
	changed, _, err := reg.Put(t.Context(), "clicks", exactly(s))
	if err != nil || changed.Settings.CutInterval != s.CutInterval || changed.Settings.TimeWindowBack != s.TimeWindowBack {
		t.Errorf("%+v %v", changed, err)
	}
	f := func(field, have, want string, change func(*Settings)) {
		t.Helper()
		s := reg.Defaults()
		change(&s)
		var c *ContradictionError
		if _, _, err := reg.Put(t.Context(), "clicks", exactly(s)); !errors.As(err, &c) || c.Field != field || c.Have != have || c.Want != want {
			t.Errorf("got %v", err)
		}
	}
	f("payload", "text", "binary", func(s *Settings) { s.Payload = PayloadBinary })
	f("partition_by", "[hour]", "[day]", func(s *Settings) { s.PartitionBy = []string{"day"} })
	f("partition_by", "[hour]", "[hour partition]", func(s *Settings) { s.PartitionBy = []string{"partition"} })
	f("partition_by", "[hour]", "[none]", func(s *Settings) { s.PartitionBy = []string{"none"} })
	if got, _ := reg.Get("clicks"); got != changed {
		t.Error("a refused Put changed the table")
	}
}

// Another daemon made the table: its payload kind and partitioning are the table's, not our defaults.
func TestTableOfAnotherDaemon(t *testing.T) {
	r := newRig(t)
	other := &rig{T: t, store: r.store, real: r.real, cat: r.cat, meta: &memMeta{m: map[string][]byte{}}, cfg: r.cfg}
	s := DefaultSettings()
	s.Payload, s.PartitionBy = PayloadBinary, []string{"none"}
	theirs, _, err := other.open().Put(t.Context(), "raw", exactly(s))
	if err != nil {
		t.Fatal(err)
	}
	ours, err := r.open().Ensure(t.Context(), "raw")
	if err != nil || ours.UUID != theirs.UUID || !ours.Binary() || len(ours.Spec.Fields) != 0 {
		t.Errorf("%+v %v", ours, err)
	}
}

func TestDeleteStopsIngestUntilPut(t *testing.T) {
	r := newRig(t)
	reg := r.open()
	before, err := reg.Ensure(t.Context(), "clicks")
	if err != nil {
		t.Fatal(err)
	}
	if err := reg.Delete(t.Context(), "clicks"); err != nil {
		t.Fatal(err)
	}
	for _, reg := range []*Registry{reg, r.open()} {
		if _, err := reg.Ensure(t.Context(), "clicks"); !errors.Is(err, ErrStopped) {
			t.Errorf("got %v", err)
		}
		if tab, ok := reg.Get("clicks"); !ok || !tab.Stopped {
			t.Error("its backlog has no table to drain to")
		}
	}
	after, created, err := reg.Put(t.Context(), "clicks", exactly(reg.Defaults()))
	if err != nil || created || after.UUID != before.UUID {
		t.Errorf("%v %v", created, err)
	}
	if _, err := reg.Ensure(t.Context(), "clicks"); err != nil {
		t.Error(err)
	}
	if err := reg.Delete(t.Context(), "nobody"); !errors.Is(err, ErrUnknownTable) {
		t.Errorf("got %v", err)
	}
}

// A table made anew is adopted on an operator's word alone.
func TestTableMadeAnew(t *testing.T) {
	r := newRig(t)
	reg := r.open()
	old, err := reg.Ensure(t.Context(), "clicks")
	if err != nil {
		t.Fatal(err)
	}
	id := reg.Ident("clicks")
	if err := r.store.List(t.Context(), "default/clicks/", func(i objstore.Info) error { return r.store.Delete(t.Context(), i.Key) }); err != nil {
		t.Fatal(err)
	}
	fresh := objectstore.New(r.store, objectstore.Config{Logger: slog.New(slog.DiscardHandler)})
	r.cat.Catalog = fresh
	if _, err := reg.Reload(t.Context(), "clicks"); !errors.Is(err, ErrUnknownTable) {
		t.Errorf("got %v", err)
	}
	spec, _ := iceberg.EventSpec(nil)
	ct, err := fresh.Create(t.Context(), id, catalog.Spec{Schema: iceberg.EventSchema(iceberg.String), Partition: spec, Properties: commitlib.NewTableProperties()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reg.Verify("clicks", old.UUID, ct); !errors.Is(err, ErrReplaced) {
		t.Errorf("got %v", err)
	}
	if tab, err := reg.Ensure(t.Context(), "clicks"); err != nil || tab.UUID != old.UUID {
		t.Errorf("adopted unasked: %v %v", tab, err)
	}
	tab, err := reg.Reload(t.Context(), "clicks")
	if err != nil || tab.UUID == old.UUID {
		t.Errorf("%v %v", tab, err)
	}
	// A state of the old table, held by a look-up or a turn of shipping that began before.
	was := &catalog.Table{Ident: id, Location: old.Location, Metadata: iceberg.NewMetadata(old.UUID, old.Location, old.Schema,
		old.Spec, commitlib.NewTableProperties(), time.Now())}
	if got, err := reg.publish("clicks", was, want{make: true}); !errors.Is(err, ErrReplaced) {
		t.Errorf("a look-up that began before brought the old table back: %v %v", got, err)
	}
	if now, _ := reg.Get("clicks"); now != tab {
		t.Errorf("known is %v", now)
	}
}

func TestVerifyFollowsSchemaEvolution(t *testing.T) {
	r := newRig(t)
	reg := r.open()
	tab, err := reg.Ensure(t.Context(), "clicks")
	if err != nil {
		t.Fatal(err)
	}
	evolve := func(change func(*iceberg.Schema)) error {
		t.Helper()
		base, err := r.real.Load(t.Context(), tab.Ident)
		if err != nil {
			t.Fatal(err)
		}
		ct, err := r.real.SwapMetadata(t.Context(), base, func(m *iceberg.Metadata) (*iceberg.Metadata, error) {
			s := *m.CurrentSchema()
			s.ID++
			s.Fields = slices.Clone(s.Fields)
			change(&s)
			return m.WithSchema(&s, base.MetadataLocation, time.Now())
		})
		if err != nil {
			t.Fatal(err)
		}
		got, err := reg.Verify("clicks", tab.UUID, ct)
		if err == nil && got.Schema.ID != tab.Schema.ID {
			t.Errorf("files would be written with schema %d", got.Schema.ID)
		}
		return err
	}
	if err := evolve(func(s *iceberg.Schema) {
		s.Fields = append(s.Fields, iceberg.Field{ID: 8, Name: "extra", Type: iceberg.String})
	}); err != nil {
		t.Errorf("an added optional column: %v", err)
	}
	if err := evolve(func(s *iceberg.Schema) { s.Fields[6].Name = "body" }); err != nil {
		t.Errorf("a renamed column: %v", err)
	}
	if err := evolve(func(s *iceberg.Schema) { s.Fields[2].Type = iceberg.Long }); err != nil {
		t.Errorf("a widened column: %v", err)
	}
	var rej *RejectedError
	if err := evolve(func(s *iceberg.Schema) { s.Fields = s.Fields[:6] }); !errors.As(err, &rej) {
		t.Errorf("the payload is gone: %v", err)
	}
}

func TestRecordsAreChecked(t *testing.T) {
	r := newRig(t)
	if _, err := r.open().Ensure(t.Context(), "clicks"); err != nil {
		t.Fatal(err)
	}
	good := r.meta.m["registry/table/clicks"]
	f := func(what string, value []byte) {
		t.Helper()
		r.meta.m["registry/table/clicks"] = value
		if _, err := Open(r.cat, r.meta, r.cfg); err == nil {
			t.Errorf("%s was taken", what)
		}
	}
	change := func(key string, v any) []byte {
		m := map[string]any{}
		if err := json.Unmarshal(good, &m); err != nil {
			t.Fatal(err)
		}
		m[key] = v
		b, _ := json.Marshal(m)
		return b
	}
	f("garbage", []byte("{"))
	f("a newer version", change("version", 2))
	f("another namespace", change("namespace", "other"))
	f("no schema", change("schema", nil))
	r.meta.m["registry/table/clicks"] = good
	r.open()
}

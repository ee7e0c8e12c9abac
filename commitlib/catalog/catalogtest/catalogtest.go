// Package catalogtest is the contract of catalog.Catalog as tests: every catalog runs it, the twins as the ones over a
// network. For tests alone.
package catalogtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
	"firn/perf/tier"
)

// Env is one catalog without tables, and the handles that the contract needs on it.
type Env struct {
	Catalog catalog.Catalog

	// Rival is another client of the same service, as another process has it; nil: there is no need for one.
	Rival catalog.Catalog

	// Fault makes the next swap go wrong, and Settle lets what is late take effect; nil where faults cannot be had.
	Fault  func(Fault)
	Settle func()

	// Tag names a snapshot of a table's current state; nil: by the catalog's SwapMetadata.
	Tag func(t *testing.T, table *catalog.Table, name string, snapshotID int64)

	// Remote says that the service is another process, so that each request takes milliseconds: races are shorter then.
	Remote bool
}

// rounds is tier.Pick, and a quarter of it where each round takes long.
func (env Env) rounds(test, ci, slow int) int {
	n := tier.Pick(test, ci, slow)
	if env.Remote {
		n = max(3, n/4)
	}
	return n
}

// Fault is how the next swap goes wrong. Each is answered with ErrUnknown.
type Fault int

// The faults.
const (
	LostRequest  Fault = iota // not applied
	LostResponse              // applied
	Late                      // applied when Settle is called, if the check lets it then
)

// Run runs the contract. open returns a new Env each time.
func Run(t *testing.T, open func(t *testing.T) Env) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, Env)
	}{
		{"Create", create},
		{"Names", names},
		{"Swap", swap},
		{"Refresh", refresh},
		{"StaleBase", staleBase},
		{"BadChange", badChange},
		{"Removal", removal},
		{"RemovalRefused", removalRefused},
		{"RemovalOnStaleBase", removalOnStaleBase},
		{"RemovalOfNewTag", removalOfNewTag},
		{"RemovalLostRequest", removalLostRequest},
		{"RemovalLostResponse", removalLostResponse},
		{"CreateRace", createRace},
		{"SwapRace", swapRace},
		{"LostRequest", lostRequest},
		{"LostResponse", lostResponse},
		{"LateBehindRival", lateBehindRival},
		{"LateUncontested", lateUncontested},
		{"UnknownRace", unknownRace},
		{"Cancelled", cancelled},
	} {
		t.Run(test.name, func(t *testing.T) {
			env := open(t)
			if env.Rival == nil {
				env.Rival = env.Catalog
			}
			test.run(t, env)
		})
	}
}

var (
	clicks = catalog.Ident{Namespace: "default", Name: "clicks"}

	spec = catalog.Spec{
		Schema: iceberg.EventSchema(iceberg.String),
		Partition: iceberg.PartitionSpec{Fields: []iceberg.PartitionField{
			{SourceID: iceberg.FieldEventTime, FieldID: iceberg.FirstPartitionFieldID, Name: "event_time_hour", Transform: "hour"},
		}},
		Properties: map[string]string{"firn.protocol": "1"},
	}

	lastID atomic.Int64
)

// next is a change on base that no other equals; its snapshot's list need not exist for any catalog's check.
func next(base *catalog.Table) catalog.Change {
	id := lastID.Add(1)
	m := base.Metadata
	return catalog.Change{
		Snapshot: &iceberg.Snapshot{
			ID: id, ParentID: m.CurrentSnapshotID, SequenceNumber: m.LastSequenceNumber + 1, SchemaID: m.CurrentSchemaID,
			TimestampMs: m.NextTimeMs(time.Now()), ManifestList: fmt.Sprintf("%s/metadata/snap-%d.avro", base.Location, id),
			Summary: map[string]string{"operation": iceberg.OpAppend},
		},
		SetProperties: map[string]string{"last": fmt.Sprint(id)},
	}
}

func made(t *testing.T, c catalog.Catalog) *catalog.Table {
	t.Helper()
	table, err := c.Create(t.Context(), clicks, spec)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func loaded(t *testing.T, c catalog.Catalog) *catalog.Table {
	t.Helper()
	table, err := c.Load(t.Context(), clicks)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func swapped(t *testing.T, c catalog.Catalog, base *catalog.Table, ch catalog.Change) *catalog.Table {
	t.Helper()
	table, err := c.Swap(t.Context(), base, ch)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// same fails unless two tables are one state.
func same(t *testing.T, what string, got, want *catalog.Table) {
	t.Helper()
	a, err := got.Metadata.Encode()
	if err != nil {
		t.Fatal(err)
	}
	b, err := want.Metadata.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if string(a) != string(b) || got.MetadataLocation != want.MetadataLocation || got.Token != want.Token || got.Location != want.Location || got.Ident != want.Ident {
		t.Errorf("%s: %s (token %s) is not %s (token %s):\n%s\n%s", what, got.MetadataLocation, got.Token, want.MetadataLocation, want.Token, a, b)
	}
}

// history returns the snapshots of main from the oldest on, and fails if it is not one line.
func history(t *testing.T, table *catalog.Table) []int64 {
	t.Helper()
	m := table.Metadata
	var ids []int64
	for s := m.CurrentSnapshot(); s != nil; s = m.Snapshot(s.ParentID) {
		ids = append(ids, s.ID)
		if s.ParentID != 0 && m.Snapshot(s.ParentID) == nil {
			t.Fatalf("snapshot %d has the parent %d, which the table does not have", s.ID, s.ParentID)
		}
	}
	if len(ids) != len(m.Snapshots) {
		t.Fatalf("main has %d snapshots, the table %d: %v", len(ids), len(m.Snapshots), ids)
	}
	slices.Reverse(ids)
	return ids
}

func wantError(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%s: %v, want %v", what, err, want)
	}
	for _, other := range []error{catalog.ErrConflict, catalog.ErrUnknown, catalog.ErrRejected, catalog.ErrNoTable, catalog.ErrTableExists} {
		if other != want && errors.Is(err, other) {
			t.Errorf("%s: %v is also %v", what, err, other)
		}
	}
}

func create(t *testing.T, env Env) {
	c := env.Catalog
	_, err := c.Load(t.Context(), clicks)
	wantError(t, "load before", err, catalog.ErrNoTable)
	if names, err := c.List(t.Context(), "default"); err != nil || len(names) != 0 {
		t.Errorf("list before: %q, %v", names, err)
	}
	began := time.Now()
	table := made(t, c)
	m := table.Metadata
	props := maps.Clone(m.Properties) // a service adds its own
	maps.Copy(props, spec.Properties)
	if m.TableUUID.Version() != 4 || m.CurrentSnapshotID != 0 || !maps.Equal(m.Properties, props) || m.FormatVersion != 2 {
		t.Errorf("made %+v", m)
	}
	if !strings.HasSuffix(table.Location, "/default/clicks") || m.Location != table.Location || !strings.HasPrefix(table.MetadataLocation, table.Location+"/metadata/") {
		t.Errorf("lies at %s, metadata %s says %s", table.Location, table.MetadataLocation, m.Location)
	}
	if table.LoadedAt.Before(began.Add(-time.Second)) || table.LoadedAt.After(time.Now()) {
		t.Errorf("loaded at %v, create began at %v", table.LoadedAt, began)
	}
	same(t, "load after", loaded(t, env.Rival), table)
	_, err = c.Create(t.Context(), clicks, spec)
	wantError(t, "create again", err, catalog.ErrTableExists)
	for _, name := range []string{"zebra", "a_b", "a"} {
		if _, err := c.Create(t.Context(), catalog.Ident{Namespace: "default", Name: name}, spec); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Create(t.Context(), catalog.Ident{Namespace: "other", Name: "elsewhere"}, spec); err != nil {
		t.Fatal(err)
	}
	if names, err := c.List(t.Context(), "default"); err != nil || !slices.Equal(names, []string{"a", "a_b", "clicks", "zebra"}) {
		t.Errorf("list: %q, %v", names, err)
	}
}

func names(t *testing.T, env Env) {
	for _, bad := range []string{"", "Clicks", "1st", "_x", "a-b", "a.b", "a/b", "../a", "a ", "ä", strings.Repeat("a", 129)} {
		_, err := env.Catalog.Create(t.Context(), catalog.Ident{Namespace: "default", Name: bad}, spec)
		wantError(t, fmt.Sprintf("create table %q", bad), err, catalog.ErrRejected)
		_, err = env.Catalog.Create(t.Context(), catalog.Ident{Namespace: bad, Name: "clicks"}, spec)
		wantError(t, fmt.Sprintf("create in namespace %q", bad), err, catalog.ErrRejected)
	}
	id := catalog.Ident{Namespace: "default", Name: "a" + strings.Repeat("0", 127)}
	if _, err := env.Catalog.Create(t.Context(), id, spec); err != nil {
		t.Errorf("the longest name: %v", err)
	}
}

func swap(t *testing.T, env Env) {
	base := made(t, env.Catalog)
	before, _ := base.Metadata.Encode()
	ch := next(base)
	now := swapped(t, env.Catalog, base, ch)
	if after, _ := base.Metadata.Encode(); string(after) != string(before) {
		t.Error("the swap changed its base")
	}
	m := now.Metadata
	if m.CurrentSnapshotID != ch.Snapshot.ID || m.Properties["last"] != ch.SetProperties["last"] || m.Properties["firn.protocol"] != "1" {
		t.Errorf("current snapshot %d, properties %v", m.CurrentSnapshotID, m.Properties)
	}
	if m.TableUUID != base.Metadata.TableUUID || now.Token == base.Token || now.MetadataLocation == base.MetadataLocation {
		t.Errorf("token %s, metadata %s, before %s and %s", now.Token, now.MetadataLocation, base.Token, base.MetadataLocation)
	}
	if n := len(m.MetadataLog); n != 1 || m.MetadataLog[0].MetadataFile != base.MetadataLocation {
		t.Errorf("metadata log: %+v", m.MetadataLog)
	}
	same(t, "load after", loaded(t, env.Rival), now)
	swapped(t, env.Catalog, now, next(now)) // a swap's result serves as a base
}

func refresh(t *testing.T, env Env) {
	first := made(t, env.Catalog)
	f := func(have, want *catalog.Table) {
		t.Helper()
		got, err := env.Catalog.Refresh(t.Context(), have)
		if err != nil {
			t.Fatal(err)
		}
		if have == want && got != have {
			t.Error("refresh of what is current returned another table")
		}
		same(t, "refresh", got, want)
	}
	f(first, first)
	second := swapped(t, env.Rival, first, next(first))
	third := swapped(t, env.Rival, second, next(second))
	f(first, third)
	f(second, third)
	f(third, third)
}

func staleBase(t *testing.T, env Env) {
	base := made(t, env.Catalog)
	won := next(base)
	swapped(t, env.Rival, base, won)
	for range 3 {
		_, err := env.Catalog.Swap(t.Context(), base, next(base))
		wantError(t, "swap on a stale base", err, catalog.ErrConflict)
	}
	if got := history(t, loaded(t, env.Catalog)); !slices.Equal(got, []int64{won.Snapshot.ID}) {
		t.Errorf("history %v, want %d", got, won.Snapshot.ID)
	}
}

// badChange: a change that no reader could accept is rejected for good, and leaves the table alone.
func badChange(t *testing.T, env Env) {
	base := made(t, env.Catalog)
	f := func(what string, spoil func(*iceberg.Snapshot)) {
		ch := next(base)
		spoil(ch.Snapshot)
		_, err := env.Catalog.Swap(t.Context(), base, ch)
		wantError(t, what, err, catalog.ErrRejected)
	}
	f("another parent", func(s *iceberg.Snapshot) { s.ParentID = 77 })
	f("no manifest list", func(s *iceberg.Snapshot) { s.ManifestList = "" })
	f("no operation", func(s *iceberg.Snapshot) { s.Summary = nil })
	f("an unknown schema", func(s *iceberg.Snapshot) { s.SchemaID = 77 })
	same(t, "load after", loaded(t, env.Catalog), base)
}

func cancelled(t *testing.T, env Env) {
	base := made(t, env.Catalog)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := env.Catalog.Load(ctx, clicks); !errors.Is(err, context.Canceled) {
		t.Errorf("load: %v", err)
	}
	_, err := env.Catalog.Swap(ctx, base, next(base))
	if !errors.Is(err, context.Canceled) || errors.Is(err, catalog.ErrConflict) || errors.Is(err, catalog.ErrRejected) {
		t.Errorf("swap: %v", err)
	}
	same(t, "load after", loaded(t, env.Catalog), base)
}

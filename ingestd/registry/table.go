package registry

import (
	"time"

	"github.com/google/uuid"

	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
)

// Table is what the daemon knows of one table. It is immutable: a change makes a new one.
type Table struct {
	Name     string
	Ident    catalog.Ident
	UUID     uuid.UUID
	Location string                // absolute location of the table's root
	Schema   *iceberg.Schema       // the columns that data files are written with; its id is the table's
	Spec     iceberg.PartitionSpec // the partitioning that data files are written with; its id is the table's
	Settings Settings
	Declared bool // a Put gave the settings; otherwise they follow the daemon's defaults
	Stopped  bool // Delete was called: no new events, what was acked still drains
}

// Binary says whether payloads are stored as bytes (true) or must be UTF-8 text.
func (t *Table) Binary() bool { return t.Settings.Payload == PayloadBinary }

// Window returns the event times that the table takes at now, in microseconds since the Unix epoch, both inclusive.
func (t *Table) Window(now time.Time) (minTime, maxTime int64) {
	return now.Add(-time.Duration(t.Settings.TimeWindowBack)).UnixMicro(),
		now.Add(time.Duration(t.Settings.TimeWindowAhead)).UnixMicro()
}

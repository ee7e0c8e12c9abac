package registry

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
)

// recordPrefix begins the keys of the registry's records in the log's durable map; the table's name follows.
const recordPrefix = "registry/table/"

// recordVersion is the form of a record. A newer form is refused: an older daemon would drop what it does not know.
const recordVersion = 1

// record is the durable form of a Table.
type record struct {
	Version   int                   `json:"version"`
	Namespace string                `json:"namespace"`
	UUID      uuid.UUID             `json:"uuid"`
	Location  string                `json:"location"`
	Schema    *iceberg.Schema       `json:"schema"`
	Spec      iceberg.PartitionSpec `json:"spec"`
	Settings  Settings              `json:"settings"`
	Declared  bool                  `json:"declared"`
	Stopped   bool                  `json:"stopped"`
}

// writeRecord makes t durable.
func writeRecord(meta Meta, t *Table) error {
	rec := record{Version: recordVersion, Namespace: t.Ident.Namespace, UUID: t.UUID, Location: t.Location,
		Schema: t.Schema, Spec: t.Spec, Settings: t.Settings, Declared: t.Declared, Stopped: t.Stopped}
	value, err := json.Marshal(rec)
	if err != nil {
		return fmt.Errorf("encode record of table %s: %w", t.Name, err)
	}
	if err := meta.PutMeta(recordPrefix+t.Name, value); err != nil {
		return fmt.Errorf("write record of table %s: %w", t.Name, err)
	}
	return nil
}

// readRecords returns the tables known from earlier runs. Tables that no Put
// described take the daemon's present defaults.
func readRecords(meta Meta, cfg Config) (map[string]*Table, error) {
	tables := map[string]*Table{}
	err := meta.IterMeta(recordPrefix, func(key string, value []byte) error {
		name := strings.TrimPrefix(key, recordPrefix)
		t, err := decodeRecord(name, value)
		if err != nil {
			return err
		}
		if t.Ident.Namespace != cfg.Namespace {
			return fmt.Errorf("table %s of this data directory is in namespace %q, not %q: start with that namespace, or with another data directory",
				name, t.Ident.Namespace, cfg.Namespace)
		}
		if !t.Declared {
			s := cfg.Defaults.clone()
			s.Payload, s.PartitionBy = t.Settings.Payload, t.Settings.PartitionBy
			t.Settings = s
		}
		tables[name] = t
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read known tables: %w", err)
	}
	return tables, nil
}

func decodeRecord(name string, value []byte) (*Table, error) {
	rec := record{Settings: Settings{MaxLag: defaultMaxLag}} // records of version 1.0.0 have none
	if err := json.Unmarshal(value, &rec); err != nil {
		return nil, fmt.Errorf("decode record of table %s: %w", name, err)
	}
	if rec.Version != recordVersion {
		return nil, fmt.Errorf("record of table %s has version %d, and this ingestd knows %d: start the newer one again", name, rec.Version, recordVersion)
	}
	if err := CheckName(name); err != nil {
		return nil, fmt.Errorf("record of table: %w", err)
	}
	if err := rec.Settings.Validate(); err != nil {
		return nil, fmt.Errorf("record of table %s: %w", name, err)
	}
	if rec.Schema == nil {
		return nil, fmt.Errorf("record of table %s names no schema", name)
	}
	return &Table{Name: name, Ident: catalog.Ident{Namespace: rec.Namespace, Name: name}, UUID: rec.UUID, Location: rec.Location,
		Schema: rec.Schema, Spec: rec.Spec, Settings: rec.Settings, Declared: rec.Declared, Stopped: rec.Stopped}, nil
}

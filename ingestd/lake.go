package main

import (
	"path/filepath"

	"firn/commitlib/warehouse"
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

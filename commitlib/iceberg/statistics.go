package iceberg

import "fmt"

// StatisticsFiles returns the locations of the statistics files that the metadata names, of tables and of partitions:
// other engines write them, and metadata that Firn writes carries what names them on.
func (m *Metadata) StatisticsFiles() (locations []string, err error) {
	collect := func(entry string) error {
		_, err := eachMember(entry, func(key, v string) (err error) {
			if key == "statistics-path" {
				var location string
				location, err = asString(v)
				locations = append(locations, location)
			}
			return err
		})
		return err
	}
	_, err = eachMember("{"+string(m.extra)+"}", func(key, v string) error {
		if v == "null" || key != "statistics" && key != "partition-statistics" {
			return nil
		}
		return eachElement(v, collect)
	})
	if err != nil {
		return nil, fmt.Errorf("read table metadata: %w", err)
	}
	return locations, nil
}

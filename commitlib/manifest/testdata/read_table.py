"""Reads a table's manifests with two engines that Firn did not write, and prints what each sees, a line a file.

read_table.py METADATA_FILE
"""

import glob
import site
import sys

import duckdb
from pyiceberg.expressions import EqualTo
from pyiceberg.table import StaticTable

metadata = sys.argv[1]
table = StaticTable.from_metadata(metadata)
for m in table.current_snapshot().manifests(table.io):
    ranges = " ".join(f"{s.contains_null}:{s.lower_bound.hex()}:{s.upper_bound.hex()}" for s in m.partitions)
    print("list", m.sequence_number, m.min_sequence_number, m.added_snapshot_id, m.added_files_count, m.existing_files_count, m.added_rows_count, ranges)
    for e in m.fetch_manifest_entry(table.io):
        f = e.data_file
        print("pyiceberg", e.status.name, e.snapshot_id, e.sequence_number, e.file_sequence_number, f.file_path, f.partition[0], f.partition[1], f.record_count, dict(f.column_sizes)[7], f.lower_bounds[1].decode(), f.split_offsets)
# Planning prunes by the partition tuple, so ids and types must be what the engine expects.
print("planned", *sorted(t.file.file_path for t in table.scan(row_filter=EqualTo("partition", 2)).plan_files()))

con = duckdb.connect()
for name in ("avro", "iceberg"):
    con.load_extension(*[f for d in site.getsitepackages() for f in glob.glob(f"{d}/duckdb_extension_{name}/extensions/*/{name}.duckdb_extension")])
for row in con.execute(f"SELECT manifest_sequence_number, status, file_path, record_count FROM iceberg_metadata('{metadata}') ORDER BY file_path").fetchall():
    print("duckdb", *row)

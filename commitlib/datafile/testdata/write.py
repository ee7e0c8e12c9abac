"""Writes the Parquet files beside it that Read must read, or refuse: as PyArrow writes them, not as we do.

usage: write.py FOLDER
"""

import os
import sys

import pyarrow as pa
import pyarrow.parquet as pq

FOLDER = sys.argv[1]


def field(id, name, type, nullable=True):
    return pa.field(name, type, nullable=nullable, metadata={"PARQUET:field_id": str(id)})


N = 300
schema = pa.schema([
    field(7, "payload", pa.string(), False),  # not in the order of the table's schema, and partly under other names
    field(3, "lane", pa.int32(), False),
    field(50, "nested", pa.struct([field(51, "a", pa.int64()), field(52, "b", pa.list_(field(53, "element", pa.string())))])),
    field(4, "event_time", pa.timestamp("us", tz="UTC"), False),
    field(6, "key", pa.string()),
    field(2, "sequence", pa.int32(), False),  # from before it became a long
])
table = pa.table(
    [
        [f"payload {i} ä" for i in range(N)],
        [i % 5 - 2 for i in range(N)],
        [{"a": i, "b": ["x"] * (i % 3)} for i in range(N)],
        [(i - 150) * 1_000_003 for i in range(N)],
        [None if i % 7 else f"key {i % 3}" for i in range(N)],
        list(range(1, N + 1)),
    ],
    schema=schema,
)


def write(name, **options):
    options = {"compression": "zstd", "data_page_version": "1.0", "row_group_size": 130, **options}
    pq.write_table(table, os.path.join(FOLDER, name + ".parquet"), **options)


write("zstd")
write("plain", use_dictionary=False, compression="none", write_page_checksum=True)
write("snappy", compression="snappy")
write("v2pages", data_page_version="2.0")
write("delta", use_dictionary=False, column_encoding={"sequence": "DELTA_BINARY_PACKED"})

"""Reads a Parquet file with PyArrow and DuckDB and computes from its rows what a manifest states about it.

usage: foreign.py FILE
Prints one JSON object. Rows are lists of strings, or null: numbers in decimal, times in microseconds, binary in hex.
Bounds are computed here from the values, by the rules of the Iceberg specification, and not taken from the file.
"""

import json
import struct
import sys

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq


def text(value):
    if value is None:
        return None
    return value.hex() if isinstance(value, bytes) else str(value)


def raw(column):
    """A column as Python values, times as microseconds."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    return column.to_pylist()


def upper_string(s):
    if len(s) <= 16:
        return s.encode()
    points = [ord(c) for c in s[:16]]
    while points:
        last = points.pop()
        if last == 0x10FFFF:
            continue
        last = 0xE000 if last == 0xD7FF else last + 1
        return "".join(map(chr, points + [last])).encode()
    return None


def upper_binary(b):
    if len(b) <= 16:
        return b
    b = b[:16].rstrip(b"\xff")
    return b[:-1] + bytes([b[-1] + 1]) if b else None


def bounds(kind, values):
    low, top = min(values), max(values)
    if pa.types.is_string(kind):
        return low[:16].encode(), upper_string(top)
    if pa.types.is_binary(kind):
        return low[:16], upper_binary(top)
    form = "<i" if pa.types.is_int32(kind) else "<q"
    return struct.pack(form, low), struct.pack(form, top)


def string_key(s):
    return s.encode()


path = sys.argv[1]
file = pq.ParquetFile(path, page_checksum_verification=True)
table = file.read()
meta = file.metadata
out = {
    "records": meta.num_rows,
    "columns": [],
    "splits": [],
    "created_by": meta.created_by,
}
columns = []
for i, field in enumerate(table.schema):
    values = raw(table.column(i))
    columns.append(values)
    present = [v for v in values if v is not None]
    c = {
        "id": int(field.metadata[b"PARQUET:field_id"]),
        "name": field.name,
        "type": str(field.type),
        "required": not field.nullable,
        "size": sum(meta.row_group(g).column(i).total_compressed_size for g in range(meta.num_row_groups)),
        "values": len(values),
        "nulls": len(values) - len(present),
        "lower": None,
        "upper": None,
        "offset_index": all(meta.row_group(g).column(i).has_offset_index for g in range(meta.num_row_groups)),
    }
    if present:
        if pa.types.is_string(field.type):  # Python compares code points, as UTF-8 bytes do
            assert min(present) == min(present, key=string_key)
        low, top = bounds(field.type, present)
        c["lower"] = low.hex()
        c["upper"] = None if top is None else top.hex()
    for g in range(meta.num_row_groups):  # the file's own statistics, where it has them, must be exact
        s = meta.row_group(g).column(i).statistics
        part = raw(file.read_row_group(g, columns=[field.name]).column(0))
        there = [v for v in part if v is not None]
        assert s.null_count == len(part) - len(there), (field.name, g)
        if s.has_min_max and not pa.types.is_timestamp(field.type):
            assert (s.min, s.max) == (min(there), max(there)), (field.name, g)
    out["columns"].append(c)
for g in range(meta.num_row_groups):
    first = meta.row_group(g).column(0)
    out["splits"].append(first.dictionary_page_offset or first.data_page_offset)
out["arrow"] = [[text(v) for v in row] for row in zip(*columns)]

select = ", ".join(
    f'epoch_us("{f.name}")' if pa.types.is_timestamp(f.type) else f'"{f.name}"' for f in table.schema
)
rows = duckdb.execute(f"select {select} from read_parquet(?)", [path]).fetchall()
out["duckdb"] = [[text(v) for v in row] for row in rows]
json.dump(out, sys.stdout)

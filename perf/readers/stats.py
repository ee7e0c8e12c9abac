"""Recomputes with pyarrow, from the Parquet files themselves, every statistic that a table's manifests state, and
compares. Nothing is taken from Firn but the files. Prints each difference; exits 1 when there is one, or when there was
nothing to compare.

    stats.py TABLE-FOLDER
"""

import datetime
import json
import os
import struct
import sys

import pyarrow as pa
import pyarrow.parquet as pq

import engines

BOUND = 16  # characters of a string, bytes of a binary: the length that Iceberg's writers truncate bounds to

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
problems = []


def differ(where, what, stated, computed):
    if stated != computed:
        problems.append(f"{where}: {what}: stated {stated!r}, computed {computed!r}")


def encode(v, t):
    """The specification's single-value serialization (Appendix D)."""
    if pa.types.is_int32(t):
        return struct.pack("<i", v)
    if pa.types.is_int64(t) or pa.types.is_timestamp(t):
        return struct.pack("<q", v)
    return v.encode() if isinstance(v, str) else v


def lower(v, t):
    return encode(v[:BOUND], t) if isinstance(v, (str, bytes)) else encode(v, t)


def upper(v, t):
    """The value itself, or its truncation with the last character incremented; None where nothing greater exists."""
    if not isinstance(v, (str, bytes)) or len(v) <= BOUND:
        return encode(v, t)
    v = v[:BOUND]
    while v:
        if isinstance(v, bytes):
            if v[-1] < 0xFF:
                return v[:-1] + bytes([v[-1] + 1])
        elif ord(v[-1]) < 0x10FFFF:
            n = ord(v[-1]) + 1
            return (v[:-1] + chr(0xE000 if n == 0xD800 else n)).encode()  # surrogates are no characters
        v = v[:-1]
    return None


def values(column):
    """The non-null values, times as microseconds."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    return [v for v in column.to_pylist() if v is not None]


def partition_value(transform, v):
    """An event time in microseconds (or the partition's number) under a partition field's transform."""
    if transform == "identity":
        return v
    seconds = v // 1_000_000
    if transform == "hour":
        return seconds // 3600
    if transform == "day":
        return seconds // 86400
    d = EPOCH + datetime.timedelta(seconds=seconds)
    if transform == "month":
        return (d.year - 1970) * 12 + d.month - 1
    raise SystemExit(f"transform {transform} is not known here")


def check_file(table, spec, f):
    """One data file against its manifest entry. Returns its partition tuple."""
    path = f.file_path.removeprefix("file://")
    schema = table.schemas()[table.metadata.current_schema_id]
    ids = {field.name: field.field_id for field in schema.fields}
    parquet = pq.ParquetFile(path)
    footer, rows = parquet.metadata, parquet.read()

    differ(path, "file size", f.file_size_in_bytes, os.stat(path).st_size)
    differ(path, "record count", f.record_count, footer.num_rows)
    differ(path, "columns", rows.column_names, [field.name for field in schema.fields])
    for field in rows.schema:
        differ(path, f"field id of {field.name}", field.metadata and field.metadata.get(b"PARQUET:field_id"), str(ids[field.name]).encode())

    sizes, counts, nulls, lowers, uppers, offsets = {}, {}, {}, {}, {}, []
    for g in range(footer.num_row_groups):
        group, starts = footer.row_group(g), []
        for i in range(group.num_columns):
            c = group.column(i)
            id = ids[c.path_in_schema]
            sizes[id] = sizes.get(id, 0) + c.total_compressed_size
            starts.append(c.dictionary_page_offset if c.has_dictionary_page else c.data_page_offset)
            if not c.is_stats_set:
                problems.append(f"{path}: {c.path_in_schema}: row group {g} has no statistics")
        offsets.append(min(starts))
    for name, id in ids.items():
        column = rows.column(name)
        counts[id], nulls[id] = len(column), column.null_count
        vs = values(column)
        if vs:
            lowers[id] = lower(min(vs), column.type)
            u = upper(max(vs), column.type)
            if u is not None:
                uppers[id] = u
    differ(path, "column sizes", dict(f.column_sizes or {}), sizes)
    differ(path, "value counts", dict(f.value_counts or {}), counts)
    differ(path, "null value counts", dict(f.null_value_counts or {}), nulls)
    differ(path, "lower bounds", dict(f.lower_bounds or {}), lowers)
    differ(path, "upper bounds", dict(f.upper_bounds or {}), uppers)
    differ(path, "split offsets", list(f.split_offsets or []), offsets)

    names = {id: name for name, id in ids.items()}
    partition = []
    for i, pf in enumerate(spec.fields):
        got = {partition_value(str(pf.transform), v) for v in values(rows.column(names[pf.source_id]))}
        differ(path, f"partition field {pf.name}", {f.partition[i]}, got)
        partition.append(f.partition[i])
    return partition


def check_table(folder):
    table = engines.pyiceberg_table(folder)
    snapshot = table.current_snapshot()
    if snapshot is None:
        raise SystemExit(f"{folder}: the table has no snapshot")
    files = records = size = merged = 0
    for m in snapshot.manifests(table.io):
        path = m.manifest_path.removeprefix("file://")
        differ(path, "manifest length", m.manifest_length, os.stat(path).st_size)
        spec = table.specs()[m.partition_spec_id]
        partitions, live = [], 0
        counts, counted = {"ADDED": 0, "EXISTING": 0, "DELETED": 0}, {"ADDED": 0, "EXISTING": 0, "DELETED": 0}
        sequences = []
        for entry in m.fetch_manifest_entry(table.io, discard_deleted=False):
            f, status = entry.data_file, entry.status.name
            counts[status] += 1
            counted[status] += f.record_count
            if status != "EXISTING":
                differ(path, "snapshot id of an entry", entry.snapshot_id, m.added_snapshot_id)
            if status == "DELETED":  # its file may be gone with the snapshots that had it
                partitions.append([f.partition[i] for i in range(len(spec.fields))])
                continue
            partitions.append(check_file(table, spec, f))
            sequences.append(entry.sequence_number)
            live += 1
            files += 1
            merged += status == "EXISTING"
            records += f.record_count
            size += f.file_size_in_bytes
        if live:
            differ(path, "least sequence number", m.min_sequence_number, min(sequences))
            if max(sequences) > m.sequence_number:
                problems.append(f"{path}: an entry has sequence number {max(sequences)}, its manifest {m.sequence_number}")
        differ(path, "files", (m.added_files_count, m.existing_files_count, m.deleted_files_count), tuple(counts.values()))
        differ(path, "rows", (m.added_rows_count, m.existing_rows_count, m.deleted_rows_count), tuple(counted.values()))
        for i, pf in enumerate(spec.fields):
            summary = m.partitions[i]
            got = [p[i] for p in partitions]
            differ(path, f"summary of {pf.name}: contains null", summary.contains_null, None in got)
            differ(path, f"summary of {pf.name}: lower", summary.lower_bound, struct.pack("<i", min(got)))
            differ(path, f"summary of {pf.name}: upper", summary.upper_bound, struct.pack("<i", max(got)))

    summary = snapshot.summary.additional_properties
    for name, computed in (("total-data-files", files), ("total-records", records), ("total-files-size", size)):
        differ(folder, name, summary.get(name), str(computed))
    if files == 0:
        problems.append(f"{folder}: no data file to compare")
    return {"files": files, "records": records, "bytes": size, "merged": merged, "snapshots": len(table.metadata.snapshots)}


if __name__ == "__main__":
    totals = check_table(sys.argv[1])
    for p in problems[:50]:
        print(p, file=sys.stderr)
    if problems:
        raise SystemExit(f"{len(problems)} statistics differ")
    print(json.dumps(totals))

"""Makes the files under pyiceberg/ with PyIceberg, and beside them expected.txt, what it reads in them.

.venv/bin/python generate.py pyiceberg
"""

import datetime
import os
import shutil
import sys

import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.conversions import to_bytes
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import HourTransform, IdentityTransform
from pyiceberg.types import IntegerType, LongType, NestedField, StringType, TimestamptzType

SCHEMA = Schema(
    NestedField(1, "id", LongType(), required=True),
    NestedField(2, "ts", TimestamptzType(), required=True),
    NestedField(3, "lane", IntegerType(), required=False),
    NestedField(4, "name", StringType(), required=False),
)
SPEC = PartitionSpec(
    PartitionField(2, 1000, HourTransform(), "ts_hour"),
    PartitionField(3, 1001, IdentityTransform(), "lane"),
    spec_id=0,
)


def rows(first, lane):
    utc = datetime.timezone.utc
    return pa.table(
        {
            "id": pa.array([first, first + 1], pa.int64()),
            "ts": pa.array([datetime.datetime(1969, 12, 31, 23, 59, tzinfo=utc), datetime.datetime(2026, 11, 23, 6, tzinfo=utc)], pa.timestamp("us", "UTC")),
            "lane": pa.array([lane, None], pa.int32()),
            "name": pa.array(["a name that is longer than a bound may be", "é"]),
        },
        schema=pa.schema(
            [
                pa.field("id", pa.int64(), nullable=False),
                pa.field("ts", pa.timestamp("us", "UTC"), nullable=False),
                pa.field("lane", pa.int32()),
                pa.field("name", pa.string()),
            ]
        ),
    )


def hexed(value):
    return "null" if value is None else bytes(value).hex()


def pairs(name, values, text):
    return name + "".join(f" {k}={text(v)}" for k, v in sorted((values or {}).items())) + "\n"


def listed(values):
    return "[" + " ".join(str(v) for v in values or []) + "]"


def write(version, folder):
    os.makedirs(folder, exist_ok=True)
    work = "/tmp/warehouse"  # a fixed name, since the files state it
    os.mkdir(work)
    try:
        catalog = SqlCatalog("c", uri=f"sqlite:///{work}/c.db", warehouse=f"file://{work}")
        catalog.create_namespace("ns")
        table = catalog.create_table("ns.t", SCHEMA, partition_spec=SPEC, properties={"format-version": str(version)})
        table.append(rows(1, 5))
        table.append(rows(3, -5))
        table.delete("lane = 5")
        table.append(rows(9, 6))
        partition_type = SPEC.partition_type(SCHEMA)
        shutil.copy(table.metadata_location.removeprefix("file://"), f"{folder}/metadata.json")
        snapshot = table.current_snapshot()
        shutil.copy(snapshot.manifest_list.removeprefix("file://"), f"{folder}/list.avro")
        out = ""
        for n, m in enumerate(snapshot.manifests(table.io)):
            shutil.copy(m.manifest_path.removeprefix("file://"), f"{folder}/m{n}.avro")
            out += (
                f"manifest {m.manifest_length} spec={m.partition_spec_id} content={int(m.content)} seq={m.sequence_number} min={m.min_sequence_number}"
                f" added={m.added_snapshot_id} files={m.added_files_count}/{m.existing_files_count}/{m.deleted_files_count}"
                f" rows={m.added_rows_count}/{m.existing_rows_count}/{m.deleted_rows_count} key={hexed(m.key_metadata)}\n"
            )
            for s in m.partitions:
                nan = "null" if s.contains_nan is None else str(s.contains_nan).lower()
                out += f"summary null={str(s.contains_null).lower()} nan={nan} {hexed(s.lower_bound)} {hexed(s.upper_bound)}\n"
            for e in m.fetch_manifest_entry(table.io, discard_deleted=False):
                f = e.data_file
                out += (
                    f"entry {int(e.status)} snap={e.snapshot_id} seq={e.sequence_number} fileseq={e.file_sequence_number} content={int(f.content or 0)}"
                    f" {f.file_path} {f.file_format.value} rows={f.record_count} size={f.file_size_in_bytes} sort={f.sort_order_id or 0} key={hexed(f.key_metadata)}\n"
                )
                out += "partition"
                for i, field in enumerate(partition_type.fields):
                    value = f.partition[i]
                    out += " " + ("null" if value is None else to_bytes(field.field_type, value).hex())
                out += "\n"
                out += pairs("sizes", f.column_sizes, str)
                out += pairs("values", f.value_counts, str)
                out += pairs("nulls", f.null_value_counts, str)
                out += pairs("nans", f.nan_value_counts, str)
                out += pairs("lower", f.lower_bounds, hexed)
                out += pairs("upper", f.upper_bounds, hexed)
                out += f"splits {listed(f.split_offsets)} equality {listed(f.equality_ids)}\n"
        with open(f"{folder}/expected.txt", "w") as expected:
            expected.write(out)
    finally:
        shutil.rmtree(work)


for v in (1, 2):
    write(v, os.path.join(sys.argv[1], f"v{v}"))

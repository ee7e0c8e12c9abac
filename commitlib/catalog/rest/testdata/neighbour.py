"""PyIceberg as another user of a table in a REST catalog.

    neighbour.py work ROUNDS   appends rows of the log "theirs", expires snapshots and adds columns, in turn; says what
                               it did as one JSON object
    neighbour.py read          prints the table's columns, properties and rows as one JSON object

The environment says where: URI, TABLE (as lake.clicks), and S3, S3_KEY and S3_SECRET.
"""

import datetime
import json
import os
import sys
import time

import pyarrow as pa
from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.types import LongType

catalog = RestCatalog(
    "theirs",
    uri=os.environ["URI"],
    **{
        "s3.endpoint": os.environ["S3"], "s3.region": "us-east-1", "s3.access-key-id": os.environ["S3_KEY"],
        "s3.secret-access-key": os.environ["S3_SECRET"], "s3.force-virtual-addressing": "false",
    },
)


def rows(first, n, schema):
    at = [datetime.datetime(2026, 11, 23, 6, tzinfo=datetime.UTC)] * n
    columns = {
        "log": ["theirs"] * n, "sequence": list(range(first, first + n)), "partition": [0] * n, "event_time": at,
        "ingest_time": at, "payload": ["theirs"] * n,
    }
    return pa.Table.from_pydict({f.name: columns.get(f.name, [None] * n) for f in schema}, schema=schema)


def insist(change):
    """Makes a change until it is in; returns how often a rival was first."""
    conflicts = 0
    while True:
        try:
            change(catalog.load_table(os.environ["TABLE"]))
            return conflicts
        except CommitFailedException:
            conflicts += 1
            time.sleep(0.01)


def expire(table):
    old = [s.snapshot_id for s in table.snapshots() if s.snapshot_id != table.current_snapshot().snapshot_id]
    if old:
        table.maintenance.expire_snapshots().by_ids(old).commit()
        did["expired"] += len(old)


def evolve(name):
    def change(table):
        with table.update_schema() as update:
            update.add_column(name, LongType())

    return change


did = {"rows": 0, "expired": 0, "columns": [], "conflicts": 0}
if sys.argv[1] == "work":
    for i in range(int(sys.argv[2])):
        did["conflicts"] += insist(lambda t: t.append(rows(3 * i + 1, 3, t.schema().as_arrow())))
        did["rows"] += 3
        if i % 3 == 1:
            insist(expire)
        if i % 3 == 2:
            name = f"theirs_{i}"
            did["conflicts"] += insist(evolve(name))
            did["columns"].append(name)
    print(json.dumps(did))
else:
    table = catalog.load_table(os.environ["TABLE"])
    scan = table.scan(selected_fields=("log", "sequence")).to_arrow()
    print(json.dumps({
        "columns": [f.name for f in table.schema().fields], "properties": table.properties,
        "rows": [f"{log} {seq}" for log, seq in zip(scan["log"].to_pylist(), scan["sequence"].to_pylist())],
    }))

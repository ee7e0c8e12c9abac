"""PyIceberg and boto3 as other users of a Glue catalog: runs the steps that it reads from standard input, one JSON object
a line, and prints one JSON object a line for each.

The environment says where: GLUE, ACCOUNT and WAREHOUSE, and S3, S3_KEY and S3_SECRET where the warehouse is on S3.
"""

import datetime
import json
import os
import sys
import time

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.validate
import pyarrow as pa
from pyiceberg.catalog.glue import GlueCatalog
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.partitioning import PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.types import LongType

REGION = "us-east-1"
properties = {
    "glue.endpoint": os.environ["GLUE"], "glue.region": REGION, "glue.access-key-id": os.environ["ACCOUNT"],
    "glue.secret-access-key": "secret", "warehouse": os.environ["WAREHOUSE"],
}
if "S3" in os.environ:
    properties |= {
        "s3.endpoint": os.environ["S3"], "s3.region": REGION, "s3.access-key-id": os.environ["S3_KEY"],
        "s3.secret-access-key": os.environ["S3_SECRET"], "s3.force-virtual-addressing": "false",
    }
catalog = GlueCatalog("theirs", **properties)


def create_database(name, **more):
    catalog.create_namespace(name, more)


def create(table, schema, spec=None, properties=None, location=None):
    more = {"partition_spec": PartitionSpec.model_validate(spec)} if spec else {}
    catalog.create_table(table, Schema.model_validate(schema), location=location, properties=properties or {}, **more)


def rows(log, first, last, schema):
    n = last - first + 1
    at = [datetime.datetime(2026, 11, 23, 6, tzinfo=datetime.UTC)] * n
    columns = {
        "log": [log] * n, "sequence": list(range(first, last + 1)), "partition": [0] * n, "event_time": at, "ingest_time": at,
        "idempotency_key": [None] * n, "payload": ["theirs"] * n,
    }
    return pa.Table.from_pydict({f.name: columns.get(f.name, [None] * n) for f in schema}, schema=schema)


def until_in(change):
    """Tries a change anew for as long as rivals come first, and counts them."""
    conflicts = 0
    while True:
        try:
            change()
            return {"conflicts": conflicts}
        except CommitFailedException:
            conflicts += 1
            time.sleep(0.01)


def append(table, log, first, last, commits=1):
    """Appends the rows in so many commits."""
    conflicts = 0
    for i in range(commits):
        lo = first + (last - first + 1) * i // commits
        hi = first + (last - first + 1) * (i + 1) // commits - 1

        def change():
            t = catalog.load_table(table)
            t.append(rows(log, lo, hi, t.schema().as_arrow()))

        conflicts += until_in(change)["conflicts"]
    return {"conflicts": conflicts}


def scan(table):
    t = catalog.load_table(table).scan(selected_fields=("log", "sequence")).to_arrow()
    return {"rows": [f"{log}:{seq}" for log, seq in zip(t["log"].to_pylist(), t["sequence"].to_pylist())]}


def add_column(table, name):
    def change():
        with catalog.load_table(table).update_schema() as u:
            u.add_column(name, LongType())

    return until_in(change)


def set_properties(table, **more):
    def change():
        with catalog.load_table(table).transaction() as tx:
            tx.set_properties(more)

    return until_in(change)


def expire(table):
    """Expires all snapshots but the current one."""

    def change():
        t = catalog.load_table(table)
        old = [s.snapshot_id for s in t.snapshots() if s.snapshot_id != t.current_snapshot().snapshot_id]
        if old:
            t.maintenance.expire_snapshots().by_ids(old).commit()

    return until_in(change)


def state(table):
    m = catalog.load_table(table).metadata
    return {"uuid": str(m.table_uuid), "location": m.location, "snapshots": len(m.snapshots), "properties": m.properties}


def tables(database):
    return {"tables": sorted(name for _, name in catalog.list_tables(database))}


def validate(op, body):
    """What botocore's model of the API says against a request that it did not make."""
    shape = catalog.glue.meta.service_model.operation_model(op).input_shape
    return {"report": botocore.validate.ParamValidator().validate(body, shape).generate_report()}


def sign(url, body, headers, date, key, secret, token):
    """The Authorization header that botocore makes for a request of that time."""
    request = botocore.awsrequest.AWSRequest("POST", url, headers=headers, data=body.encode())
    auth = botocore.auth.SigV4Auth(botocore.credentials.Credentials(key, secret, token), "glue", REGION)
    request.context["timestamp"] = date
    auth._modify_request_before_signing(request)
    del request.headers["X-Amz-Date"]
    request.headers["X-Amz-Date"] = date
    to_sign = auth.string_to_sign(request, auth.canonical_request(request))
    auth._inject_signature_to_request(request, auth.signature(to_sign, request))
    return {"authorization": request.headers["Authorization"]}


for line in sys.stdin:
    step = json.loads(line)
    answer = globals()[step.pop("do")](**step)
    print(json.dumps(answer or {}), flush=True)

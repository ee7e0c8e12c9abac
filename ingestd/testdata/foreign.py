"""PyIceberg as another user of a Glue catalog, who does not know Firn's rules: `foreign.py NAMESPACE STEP:TABLE...`.

The environment says where: GLUE, ACCOUNT, SECRET, WAREHOUSE and S3.
"""

import os
import sys

from pyiceberg.catalog.glue import GlueCatalog
from pyiceberg.exceptions import NamespaceAlreadyExistsError
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import BucketTransform
from pyiceberg.types import IntegerType, LongType, NestedField, StringType, TimestamptzType

region, key, secret = "us-east-1", os.environ["ACCOUNT"], os.environ["SECRET"]
catalog = GlueCatalog("foreign", **{
    "glue.endpoint": os.environ["GLUE"], "glue.region": region, "glue.access-key-id": key, "glue.secret-access-key": secret,
    "s3.endpoint": os.environ["S3"], "s3.region": region, "s3.access-key-id": key, "s3.secret-access-key": secret,
    "s3.force-virtual-addressing": "false", "warehouse": os.environ["WAREHOUSE"],
})
namespace = sys.argv[1]

EVENTS = Schema(
    NestedField(1, "log", StringType(), required=True), NestedField(2, "sequence", LongType(), required=True),
    NestedField(3, "partition", IntegerType(), required=True), NestedField(4, "event_time", TimestamptzType(), required=True),
    NestedField(5, "ingest_time", TimestamptzType(), required=True), NestedField(6, "idempotency_key", StringType()),
    NestedField(7, "payload", StringType(), required=True),
)
ORDERS = Schema(NestedField(1, "id", LongType(), required=True), NestedField(2, "amount", LongType()))
FIRN = {"firn.protocol": "1", "firn.watermarks": '{"logs":{}}'}


def create(table, schema=EVENTS, spec=None, **properties):
    more = {"partition_spec": spec} if spec else {}
    location = f"{os.environ['WAREHOUSE']}/{namespace}/{table.split('.')[1]}"
    catalog.create_table(table, schema, location=location, properties=properties, **more)


def drop_column(table):
    with catalog.load_table(table).update_schema(allow_incompatible_changes=True) as u:
        u.delete_column("payload")


def replace(table):
    catalog.drop_table(table)
    create(table, ORDERS)


STEPS = {
    "other_schema": lambda t: create(t, ORDERS),
    "same_columns": create,
    "v1": lambda t: create(t, **{"format-version": "1"} | FIRN),
    "other_spec": lambda t: create(t, EVENTS, PartitionSpec(PartitionField(7, 1000, BucketTransform(16), "payload_bucket")), **FIRN),
    "drop": catalog.drop_table,
    "replace": replace,
    "drop_column": drop_column,
}

try:
    catalog.create_namespace(namespace)
except NamespaceAlreadyExistsError:
    pass
for arg in sys.argv[2:]:
    step, table = arg.split(":")
    STEPS[step](f"{namespace}.{table}")

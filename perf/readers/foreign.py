"""Another client of a table, beside Firn: PyIceberg appends rows of its own, adds columns and expires snapshots, in turn,
until its standard input ends. Each thing done is a line of JSON on standard output.

    foreign.py SEED TABLE

TABLE is named as in engines.py, and a catalog must know it. A row of this client has log "foreign", and its payload is
{"foreign":N}. A commit that meets another one's is tried again on the table's new state.
"""

import datetime
import json
import random
import select
import sys
import time

import engines
import pyarrow as pa
from pyiceberg.exceptions import CommitFailedException, NoSuchTableError

KEPT = 3  # snapshots that an expiry leaves
MAX_COLUMNS = 5  # added in all: the readers' time grows with them


def told_to_end():
    return bool(select.select([sys.stdin], [], [], 0)[0]) and sys.stdin.read(1) == ""


def tell(**what):
    print(json.dumps(what), flush=True)


def append(table, n):
    now = datetime.datetime.now(datetime.timezone.utc)
    row = {
        "log": "foreign",
        "sequence": n,
        "partition": 0,
        "event_time": now,
        "ingest_time": now,
        "idempotency_key": None,
        "payload": json.dumps({"foreign": n}, separators=(",", ":")),
    }
    schema = table.schema().as_arrow()
    table.append(pa.Table.from_pylist([{name: row.get(name) for name in schema.names}], schema=schema))
    return {"op": "append", "n": n}


def expire(table, _):
    old = [s.snapshot_id for s in sorted(table.snapshots(), key=lambda s: s.sequence_number)[:-KEPT]]
    if not old:
        return None
    table.maintenance.expire_snapshots().by_ids(old).commit()
    return {"op": "expire", "snapshots": len(old)}


def evolve(table, n):
    from pyiceberg.types import StringType

    if len(table.schema().fields) >= len(engines.COLUMNS) + MAX_COLUMNS:
        return None
    name = f"extra_{n}"
    with table.update_schema() as update:
        update.add_column(name, StringType())
    return {"op": "evolve", "column": name}


def main():
    seed, name = sys.argv[1:]
    rng = random.Random(int(seed))
    catalog, name = engines.catalog(name)
    conflicts = n = 0
    while not told_to_end():
        n += 1
        op = (append, evolve, append, expire, append)[n % 5]
        while True:
            try:
                done = op(catalog.load_table(name), n)
                break
            except NoSuchTableError:  # the first event makes it
                time.sleep(0.2)
            except CommitFailedException:
                conflicts += 1
            if told_to_end():
                done = None
                break
        if done:
            tell(**done)
        time.sleep(rng.random() * 0.5)
    table = catalog.load_table(name)
    tell(op="end", conflicts=conflicts, columns=[f.name for f in table.schema().fields], snapshots=len(table.snapshots()))


if __name__ == "__main__":
    main()

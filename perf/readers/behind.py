"""Asks a table for its newest events, over and over, each time through a fresh connection or catalog client that knows nothing
of the table yet.

    behind.py ENGINE TABLE SECONDS

ENGINE and TABLE are named as in read_rows.py. Prints a line for each query: when it began, when its result was there, and
the greatest ingest_time in it (0 where there is none), in microseconds since 1970. A query that DuckDB refuses because a
commit came in its midst is asked again, and not printed.
"""

import sys
import time
from datetime import datetime, timedelta, timezone

import engines

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
MICROSECOND = timedelta(microseconds=1)


def duckdb_newest(engine, table, after):
    import duckdb
    import duckdb_iceberg

    con = duckdb_iceberg.connect()
    try:
        row = con.execute(
            f"SELECT epoch_us(max(ingest_time)) FROM {engines.duckdb_scan(engine, table)} WHERE ingest_time > make_timestamptz({after})"
        ).fetchone()
    except duckdb.HTTPException as e:
        # It asks for the hint's size, then reads it, and gives up where a commit has come between. Asking again is the cure.
        if "ETag" not in str(e):
            raise
        return None
    finally:
        con.close()
    return row[0] or after


def pyiceberg_newest(table, after):
    import pyarrow.compute as pc
    from pyiceberg.expressions import GreaterThan

    bound = (EPOCH + after * MICROSECOND).isoformat()
    scan = engines.pyiceberg_table(table).scan(row_filter=GreaterThan("ingest_time", bound), selected_fields=("ingest_time",))
    newest = pc.max(scan.to_arrow()["ingest_time"]).as_py()
    return (newest - EPOCH) // MICROSECOND if newest else after


def main(engine, table, seconds):
    newest, end = 0, time.time() + seconds
    while time.time() < end:
        began = time.time_ns() // 1000
        found = pyiceberg_newest(table, newest) if engine == "pyiceberg" else duckdb_newest(engine, table, newest)
        if found is not None:
            newest = found
            print(began, time.time_ns() // 1000, newest, flush=True)


main(sys.argv[1], sys.argv[2], float(sys.argv[3]))

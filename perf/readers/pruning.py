"""Says how many data files an engine opens for a filter, which shows whether partition values and bounds let it skip.
Prints {"total": …, "read": […]}: all files, then those left by each filter.

    pruning.py ENGINE TABLE-FOLDER FILTER…       ENGINE: pyiceberg, duckdb-folder, duckdb-metadata

A filter is "column,from,to", numbers, from inclusive and to exclusive; times in microseconds since 1970.
"""

import datetime
import json
import sys

import engines

TIMES = ("event_time", "ingest_time")


def iso(micros):
    return (datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=micros)).isoformat() + "+00:00"


def pyiceberg_files(table, filter):
    from pyiceberg.expressions import AlwaysTrue, And, GreaterThanOrEqual, LessThan

    expression = AlwaysTrue()
    if filter:
        column, lo, hi = filter
        if column in TIMES:
            lo, hi = iso(lo), iso(hi)
        expression = And(GreaterThanOrEqual(column, lo), LessThan(column, hi))
    return len(list(engines.pyiceberg_table(table).scan(row_filter=expression).plan_files()))


def duckdb_files(engine, table, filter):
    """What the scan itself reports after it ran. It reads the payload, so that no count can be answered from metadata."""
    where = ""
    if filter:
        column, lo, hi = filter
        value = (lambda v: f"TIMESTAMPTZ '{iso(v)}'") if column in TIMES else str
        where = f" WHERE {column} >= {value(lo)} AND {column} < {value(hi)}"
    import duckdb_iceberg

    con = duckdb_iceberg.connect()
    plan = con.execute(
        f"EXPLAIN (ANALYZE, FORMAT json) SELECT max(payload) FROM {engines.duckdb_scan(engine, table)}{where}"
    ).fetchall()[0][1]

    def scans(node):
        if "Total Files Read" in node.get("extra_info", {}):
            yield int(node["extra_info"]["Total Files Read"])
        for child in node.get("children", []):
            yield from scans(child)

    found = list(scans(json.loads(plan)))
    # With every file skipped DuckDB plans no scan at all.
    return found[0] if found else 0


def main():
    engine, table, *filters = sys.argv[1:]
    files = pyiceberg_files if engine == "pyiceberg" else lambda t, f: duckdb_files(engine, t, f)
    parsed = [(c, int(lo), int(hi)) for c, lo, hi in (f.split(",") for f in filters)]
    print(json.dumps({"total": files(table, None), "read": [files(table, f) for f in parsed]}))


if __name__ == "__main__":
    main()

"""Dumps a table's rows as NDJSON, one object a row, in no particular order: the six scalar columns, times as
microseconds since 1970, idempotency_key and payload as upper-case hex of their bytes, so that no engine's JSON escapes matter.

    read_rows.py ENGINE TABLE-FOLDER OUT-FILE        ENGINE: pyiceberg, duckdb-folder, duckdb-metadata
"""

import json
import sys

import engines


def read_pyiceberg(table, out):
    import pyarrow as pa
    import pyarrow.compute as pc

    scan = engines.pyiceberg_table(table).scan()
    with open(out, "w") as f:
        for batch in scan.to_arrow_batch_reader():
            columns = []
            for name in engines.COLUMNS:
                c = batch.column(name)
                if pa.types.is_timestamp(c.type):
                    if c.type != pa.timestamp("us", "UTC"):
                        raise SystemExit(f"{name} is read as {c.type}, want timestamp[us, UTC]")
                    c = pc.cast(c, pa.int64())
                columns.append(c.to_pylist())
            for row in zip(*columns):
                row = dict(zip(engines.COLUMNS, row))
                for name in ("idempotency_key", "payload"):
                    v = row[name]
                    row[name] = None if v is None else (v.encode() if isinstance(v, str) else v).hex().upper()
                f.write(json.dumps(row) + "\n")


def read_duckdb(engine, table, out):
    import duckdb_iceberg

    con = duckdb_iceberg.connect()
    con.execute(
        "COPY (SELECT log, sequence, partition, epoch_us(event_time) AS event_time, epoch_us(ingest_time) AS ingest_time,"
        " hex(idempotency_key) AS idempotency_key, hex(payload) AS payload"
        f" FROM {engines.duckdb_scan(engine, table)}) TO '{out}' (FORMAT json)"
    )


def main():
    engine, table, out = sys.argv[1:]
    if engine == "pyiceberg":
        read_pyiceberg(table, out)
    elif engine in ("duckdb-folder", "duckdb-metadata"):
        read_duckdb(engine, table, out)
    else:
        raise SystemExit(f"unknown engine {engine}")


if __name__ == "__main__":
    main()

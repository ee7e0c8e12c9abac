"""Dumps tables' rows as NDJSON, one object a row, in no particular order: the six scalar columns, times as
microseconds since 1970, idempotency_key and payload as upper-case hex of their bytes, so that no engine's JSON escapes matter.

    read_rows.py ENGINE TABLE OUT-FILE [TABLE OUT-FILE]...

ENGINE is pyiceberg, duckdb-folder or duckdb-metadata; TABLE is named as in engines.py. With requirements-slow.txt also
clickhouse or spark, for local folders. Spark finds the table as <warehouse>/<namespace>/<table>, and needs Java and
Iceberg's runtime jar in Maven's local repository.
"""

import functools
import glob
import json
import os
import shutil
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


@functools.cache
def duckdb_connection():
    import duckdb_iceberg

    return duckdb_iceberg.connect()


def read_duckdb(engine, table, out):
    con = duckdb_connection()
    con.execute(
        "COPY (SELECT log, sequence, partition, epoch_us(event_time) AS event_time, epoch_us(ingest_time) AS ingest_time,"
        " hex(idempotency_key) AS idempotency_key, hex(payload) AS payload"
        f" FROM {engines.duckdb_scan(engine, table)}) TO '{out}' (FORMAT json)"
    )


def read_clickhouse(table, out):
    import chdb

    os.chdir(table)  # ClickHouse opens local files below the working folder alone
    path = table.replace("'", "\\'")
    rows = chdb.query(
        "SELECT log, sequence, partition, toUnixTimestamp64Micro(event_time) AS event_time,"
        " toUnixTimestamp64Micro(ingest_time) AS ingest_time, hex(idempotency_key) AS idempotency_key, hex(payload) AS payload"
        f" FROM icebergLocal('{path}') SETTINGS output_format_json_quote_64bit_integers = 0",
        "JSONEachRow",
    )
    with open(out, "wb") as f:
        f.write(rows.bytes())


def read_spark(table, out):
    from pyspark.sql import SparkSession

    jars = glob.glob(os.path.expanduser("~/.m2/repository/org/apache/iceberg/iceberg-spark-runtime-4.0_2.13/1.11.0/*-1.11.0.jar"))
    if not jars:
        raise SystemExit("Iceberg's Spark runtime is not in ~/.m2: run `make slow-readers`")
    namespace_folder, name = os.path.split(table.rstrip("/"))
    warehouse, namespace = os.path.split(namespace_folder)
    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .config("spark.jars", jars[0])
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.catalog.local", "org.apache.iceberg.spark.SparkCatalog")
        .config("spark.sql.catalog.local.type", "hadoop")
        .config("spark.sql.catalog.local.warehouse", warehouse)
        .getOrCreate()
    )
    rows = spark.sql(
        "SELECT log, sequence, partition, unix_micros(event_time) AS event_time, unix_micros(ingest_time) AS ingest_time,"
        f" hex(idempotency_key) AS idempotency_key, hex(payload) AS payload FROM local.`{namespace}`.`{name}`"
    )
    rows.write.option("ignoreNullFields", "false").json(out + ".parts")
    with open(out, "wb") as f:
        for part in glob.glob(out + ".parts/part-*.json"):
            with open(part, "rb") as p:
                shutil.copyfileobj(p, f)
    shutil.rmtree(out + ".parts")
    spark.stop()


def read(engine, table, out):
    if engine == "pyiceberg":
        read_pyiceberg(table, out)
    elif engine in ("duckdb-folder", "duckdb-metadata"):
        read_duckdb(engine, table, out)
    elif engine == "clickhouse":
        read_clickhouse(table, out)
    elif engine == "spark":
        read_spark(table, out)
    else:
        raise SystemExit(f"unknown engine {engine}")


def main():
    engine, pairs = sys.argv[1], sys.argv[2:]
    for table, out in zip(pairs[::2], pairs[1::2], strict=True):
        read(engine, table, out)


if __name__ == "__main__":
    main()

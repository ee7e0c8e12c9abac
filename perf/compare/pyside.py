"""What firn/perf/compare measures beside Firn in Python: a commit by PyIceberg, a Parquet file by pyarrow, queries by
DuckDB. It knows nothing of Firn's code, and speaks as perf/compare/ours does: a job a line, an answer a line, an empty
answer first.

    pyside.py commit rest|sql PLACE NAMESPACE TABLE   commits the files of each job through a REST catalog, or SQLite's
    pyside.py register FILE NAMESPACE TABLE METADATA  makes a table known in an SQLite catalog, and ends
    pyside.py files rest|sql PLACE NAMESPACE TABLE    prints how many data files the table has by its manifest list
    pyside.py encode FILE                             reads a Parquet file, and encodes its rows anew for each job
    pyside.py query                                   runs each job's query in DuckDB, on one thread
"""

import base64
import json
import os
import sys
import time


def timed(fn):
    """What fn takes, CPU time of all threads, and what it returns."""
    began, before = time.perf_counter_ns(), time.process_time_ns()
    result = fn()
    return {"wall_ns": time.perf_counter_ns() - began, "cpu_ns": time.process_time_ns() - before}, result


def catalog(kind, place):
    from pyiceberg.catalog import load_catalog

    s3 = {
        "s3.endpoint": os.environ["AWS_ENDPOINT_URL_S3"], "s3.region": os.environ["AWS_REGION"],
        "s3.access-key-id": os.environ["AWS_ACCESS_KEY_ID"], "s3.secret-access-key": os.environ["AWS_SECRET_ACCESS_KEY"],
    }
    if kind == "sql":
        return load_catalog("sql", type="sql", uri="sqlite:///" + place, **s3)
    return load_catalog("rest", type="rest", uri=place, **s3)


def register(place, namespace, name, metadata):
    c = catalog("sql", place)
    c.create_namespace_if_not_exists(namespace)
    c.register_table(f"{namespace}.{name}", metadata)


def files(kind, place, namespace, name):
    table = catalog(kind, place).load_table(f"{namespace}.{name}")
    manifests = table.current_snapshot().manifests(table.io)
    print(sum((m.added_files_count or 0) + (m.existing_files_count or 0) for m in manifests))


def committer(kind, place, namespace, name):
    """Fast appends to a table that stays loaded, of files whose statistics are known: the least it can be asked to do."""
    from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
    from pyiceberg.typedef import Record

    table = catalog(kind, place).load_table(f"{namespace}.{name}")

    def decoded(bounds):
        return {int(k): base64.b64decode(v) for k, v in bounds.items()}

    def numbers(counts):
        return {int(k): v for k, v in counts.items()}

    def do(job):
        files = []
        for f in job["files"]:
            d = DataFile.from_args(
                content=DataFileContent.DATA, file_path=f["path"], file_format=FileFormat.PARQUET,
                partition=Record(f["hour"]), record_count=f["records"], file_size_in_bytes=f["size"],
                column_sizes=numbers(f["column_sizes"]), value_counts=numbers(f["values"]),
                null_value_counts=numbers(f["nulls"]), nan_value_counts={},
                lower_bounds=decoded(f["lower"]), upper_bounds=decoded(f["upper"]),
                key_metadata=None, split_offsets=[4], equality_ids=None, sort_order_id=None,
            )
            d.spec_id = table.metadata.default_spec_id
            files.append(d)

        def append():
            with table.transaction() as tx:
                with tx.update_snapshot().fast_append() as snapshot:
                    for f in files:
                        snapshot.append_data_file(f)

        return timed(append)[0]

    return do


def encoder(path):
    """pyarrow from a table in memory to one row group in memory, on one thread, no dictionary where nothing repeats."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pa.set_cpu_count(1)
    rows = pq.read_table(path)
    repeating = [n for n in rows.column_names if n not in ("payload", "sequence")]

    def do(job):
        out = pa.BufferOutputStream()
        taken, _ = timed(lambda: pq.write_table(
            rows, out, row_group_size=rows.num_rows, compression="zstd", compression_level=1, use_dictionary=repeating))
        data = out.getvalue()
        if job.get("to"):
            with open(job["to"], "wb") as f:
                f.write(data)
        return taken | {"bytes": data.size}

    return do


def queries():
    import duckdb

    db = duckdb.connect(config={"threads": 1})

    def do(job):
        taken, rows = timed(lambda: db.execute(job["query"]).fetchall())
        return taken | {"rows": [str(v) for v in rows[0]]}

    return do


def serve(do):
    print("{}", flush=True)
    for line in sys.stdin:
        try:
            answer = do(json.loads(line))
        except Exception as e:  # the test tells what it was
            answer = {"error": repr(e)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    what, args = sys.argv[1], sys.argv[2:]
    if what in ("register", "files"):
        {"register": register, "files": files}[what](*args)
    else:
        serve({"commit": committer, "encode": encoder, "query": queries}[what](*args))

"""DuckDB with its Iceberg extension loaded from its Python package, so that it works offline."""

import glob
import site

import duckdb


def connect():
    """A new in-memory database. Its session time is UTC, so that times print as stored."""
    con = duckdb.connect()
    for name in ("avro", "iceberg"):  # iceberg needs avro loaded
        found = [f for d in site.getsitepackages() for f in glob.glob(f"{d}/duckdb_extension_{name}/extensions/*/{name}.duckdb_extension")]
        if not found:
            raise SystemExit(f"duckdb-extension-{name} is not installed: run `make venv`")
        con.load_extension(found[0])
    con.execute("SET TimeZone = 'UTC'")
    return con

"""Opens a Firn table with engines that Firn did not write. Nothing here knows Firn's code: only the table's folder.

A table's folder holds metadata/v<N>.metadata.json, and metadata/version-hint.text names the N that is current.
"""

import os

COLUMNS = ["log", "sequence", "partition", "event_time", "ingest_time", "idempotency_key", "payload"]


def metadata_file(table):
    """The current metadata file. The hint is taken as it is, digits alone, as DuckDB and PyIceberg take it."""
    with open(os.path.join(table, "metadata", "version-hint.text")) as f:
        hint = f.read()
    if not hint.isdigit():
        raise SystemExit(f"version-hint.text holds {hint!r}, want digits alone")
    return os.path.join(table, "metadata", f"v{hint}.metadata.json")


def pyiceberg_table(table):
    from pyiceberg.table import StaticTable

    return StaticTable.from_metadata(table)  # a folder: it follows the hint itself


def duckdb_scan(engine, table):
    """The FROM clause for a table, by its folder (the hint is DuckDB's to follow) or by its metadata file."""
    path = table if engine == "duckdb-folder" else metadata_file(table)
    return "iceberg_scan('" + path.replace("'", "''") + "')"

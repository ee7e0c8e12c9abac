"""Opens a Firn table with engines that Firn did not write. Nothing here knows Firn's code: only where a table's metadata is.

A table is named by its folder, local or s3://bucket/prefix/namespace/table; or as glue:namespace.table, or
rest:URI#namespace.table, where a catalog knows its metadata file. A folder holds metadata/v<N>.metadata.json, and
metadata/version-hint.text names the N that is current. The AWS_… variables say where S3 and Glue are, and who asks.
"""

import os

COLUMNS = ["log", "sequence", "partition", "event_time", "ingest_time", "idempotency_key", "payload"]


def properties():
    """PyIceberg's properties for the S3 and the Glue that the environment names."""
    env = os.environ
    if "AWS_ACCESS_KEY_ID" not in env:
        return {}
    p = {}
    for service in ("s3", "glue"):
        p[f"{service}.access-key-id"] = env["AWS_ACCESS_KEY_ID"]
        p[f"{service}.secret-access-key"] = env["AWS_SECRET_ACCESS_KEY"]
        p[f"{service}.region"] = env["AWS_REGION"]
        endpoint = env.get(f"AWS_ENDPOINT_URL_{service.upper()}", env.get("AWS_ENDPOINT_URL"))
        if endpoint:
            p[f"{service}.endpoint"] = endpoint
    return p


def catalog(table):
    """The catalog that a name goes to, and the table's name there; none for a folder."""
    from pyiceberg.catalog import load_catalog

    if table.startswith("glue:"):
        return load_catalog("glue", type="glue", **properties()), table.removeprefix("glue:")
    if table.startswith("rest:"):
        uri, name = table.removeprefix("rest:").split("#")
        # What this process says of S3 goes before what the catalog says.
        return load_catalog("rest", type="rest", uri=uri, **properties()), name
    return None, table


def pyiceberg_table(table):
    from pyiceberg.table import StaticTable

    c, name = catalog(table)
    if c is not None:
        return c.load_table(name)
    return StaticTable.from_metadata(table, properties())  # a folder: it follows the hint itself


def metadata_file(table):
    """The current metadata file. A hint is taken as it is, digits alone, as DuckDB and PyIceberg take it."""
    c, name = catalog(table)
    if c is not None:
        return c.load_table(name).metadata_location
    hint_file = f"{table}/metadata/version-hint.text"
    if "://" in table:
        from pyiceberg.io import load_file_io

        with load_file_io(properties(), table).new_input(hint_file).open() as f:
            hint = f.read().decode()
    else:
        with open(hint_file) as f:
            hint = f.read()
    if not hint.isdigit():
        raise SystemExit(f"version-hint.text holds {hint!r}, want digits alone")
    return f"{table}/metadata/v{hint}.metadata.json"


def duckdb_scan(engine, table):
    """The FROM clause for a table, by its folder (the hint is DuckDB's to follow) or by its metadata file."""
    path = table if engine == "duckdb-folder" else metadata_file(table)
    return "iceberg_scan('" + path.replace("'", "''") + "')"

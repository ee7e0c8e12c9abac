"""DuckDB with its Iceberg extension loaded from its Python package, so that it works offline."""

import glob
import os
import site

import duckdb


def connect():
    """A new in-memory database. Its session time is UTC, so that times print as stored. It reads from the S3 that the
    AWS_… variables name, if they name one."""
    con = duckdb.connect()
    load(con, "avro")  # iceberg needs it
    load(con, "iceberg")
    con.execute("SET TimeZone = 'UTC'")
    if "AWS_ACCESS_KEY_ID" in os.environ:
        load(con, "httpfs")
        con.execute(s3_secret(os.environ))
    return con


def load(con, name):
    found = [f for d in site.getsitepackages() for f in glob.glob(f"{d}/duckdb_extension_{name}/extensions/*/{name}.duckdb_extension")]
    if not found:
        raise SystemExit(f"duckdb-extension-{name} is not installed: run `make venv`")
    con.load_extension(found[0])


def s3_secret(env):
    names = {"KEY_ID": "AWS_ACCESS_KEY_ID", "SECRET": "AWS_SECRET_ACCESS_KEY", "SESSION_TOKEN": "AWS_SESSION_TOKEN", "REGION": "AWS_REGION"}
    options = {option: env[name] for option, name in names.items() if name in env}
    endpoint = env.get("AWS_ENDPOINT_URL_S3", env.get("AWS_ENDPOINT_URL"))
    if endpoint:
        scheme, host = endpoint.split("://")
        options |= {"ENDPOINT": host, "URL_STYLE": "path", "USE_SSL": str(scheme == "https").lower()}
    return "CREATE SECRET (TYPE s3, " + ", ".join(f"{k} '{v}'" for k, v in options.items()) + ")"

"""Runs SQL in DuckDB with the Iceberg extension loaded from its Python package, so that it works offline.

usage: duckdb_shell.py [SQL]      without an argument the SQL comes from standard input

Each statement's result is shown. The first error ends the run: it is printed with what may help, and the exit status is 1.
"""

import re
import sys

import duckdb

from duckdb_iceberg import connect


def hint(error: str) -> str:
    where = "with ingestd's defaults, from the folder that it was started in: iceberg_scan('firn-data/warehouse/default/<table>')"
    if re.search(r"Table with name .* does not exist", error):
        return f"hint: a Firn table is read by its path; {where}"
    if re.search(r"version-hint|No such file|No files found", error):
        return f"hint: there is no table at that path; {where}. GET /tables shows each table's location"
    if "Malformed JSON" in error:
        return "hint: a payload is not JSON; TRY(payload->>'member') is NULL there"
    return ""


def main() -> int:
    try:
        con = connect()
        for statement in con.extract_statements(" ".join(sys.argv[1:]) or sys.stdin.read()):
            result = con.sql(statement)
            if result is not None:
                result.show(max_width=160, max_rows=100)
    except duckdb.Error as e:
        print(e, file=sys.stderr)
        if text := hint(str(e)):
            print(text, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Runs SQL in DuckDB with the Iceberg extension loaded from its Python package, so that it works offline.

usage: duckdb_shell.py [SQL]      without an argument the SQL comes from standard input
"""

import sys

import duckdb

from duckdb_iceberg import connect


def main() -> int:
    sql = " ".join(sys.argv[1:]) or sys.stdin.read()
    try:
        result = connect().sql(sql)
    except duckdb.Error as e:
        print(e, file=sys.stderr)
        return 1
    if result is not None:
        result.show(max_width=160, max_rows=100)
    return 0


if __name__ == "__main__":
    sys.exit(main())

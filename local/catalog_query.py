"""Answers a query with DuckDB over Parquet files.

Standard input is {"tables": {name: folder}, "sql": query}, standard output is
{"columns": [name], "rows": [[text]]}. The folders below a table's name its partitions.
"""

import json
import sys

import duckdb

case = json.load(sys.stdin)
database = duckdb.connect()
database.execute("SET TimeZone = 'UTC'")
for name, folder in case["tables"].items():
    files = f"'{folder}/**/*.parquet', hive_partitioning = true, hive_types_autocast = false"
    database.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet({files})")
result = database.execute(case["sql"])
columns = [column[0] for column in result.description]
rows = [["" if value is None else str(value) for value in row] for row in result.fetchall()]
print(json.dumps({"columns": columns, "rows": rows}))

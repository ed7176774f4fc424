"""DuckDB, to measure curate beside it.

usage: bench_curate.py sort RAW FOLDER MEMORY   sorts raw objects into FOLDER, with so many MiB of memory
       bench_curate.py query FILES SYMBOL       a query of one symbol

Both use one thread. RAW and FILES are patterns of Parquet files. Standard output is one JSON object.
"""

import json
import resource
import sys
import time

import duckdb

ORDER = "event_time, kafka_partition, kafka_offset"


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def read():
    """Bytes that the process has read from files."""
    with open("/proc/self/io") as io:
        return int(io.readline().removeprefix("rchar: "))


def sort(raw, folder, memory):
    """The work of one unit: every column sorted into one file, and the bars into another."""
    database = duckdb.connect()
    database.execute(f"SET threads = 1; SET memory_limit = '{memory}MiB'; SET temp_directory = '{folder}/spilled'")
    to = "(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, ROW_GROUP_SIZE 131072)"
    begin = cpu()
    database.execute(f"COPY (SELECT * FROM read_parquet('{raw}') ORDER BY symbol, {ORDER}) TO '{folder}/ticks.duckdb' {to}")
    # Its own sorted file gives the order, so that no group is sorted again.
    database.execute(f"""
        COPY (SELECT symbol, date_trunc('minute', event_time) AS minute,
                     first(coalesce(open, price)) AS open, max(coalesce(high, price)) AS high,
                     min(coalesce(low, price)) AS low, last(coalesce(close, price)) AS close,
                     sum(volume) AS volume, sum(price * volume) AS turnover,
                     sum(price * volume) / nullif(sum(volume), 0) AS vwap, count(*) AS ticks,
                     first(event_time) AS first_time, first(kafka_partition) AS first_partition, first(kafka_offset) AS first_offset,
                     last(event_time) AS last_time, last(kafka_partition) AS last_partition, last(kafka_offset) AS last_offset
              FROM read_parquet('{folder}/ticks.duckdb') GROUP BY ALL ORDER BY symbol, minute)
        TO '{folder}/bars.duckdb' {to}""")
    used = cpu() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    count = database.execute(f"SELECT count(*) FROM read_parquet('{folder}/bars.duckdb')").fetchone()[0]
    return {"cpu_seconds": used, "peak_mebibytes": peak, "bars": count}


def query(files, symbol):
    """Bytes and seconds of a query that knows nothing of the files."""
    sql = f"SELECT sum(price * volume), min(event_time), count(*) FROM read_parquet('{files}') WHERE symbol = '{symbol}'"
    database = duckdb.connect()
    database.execute("SET threads = 1; SET enable_external_file_cache = false")
    before, begin = read(), time.perf_counter()
    _, _, ticks = database.execute(sql).fetchone()
    return {"bytes": read() - before, "seconds": time.perf_counter() - begin, "ticks": ticks}


command, *arguments = sys.argv[1:]
print(json.dumps({"sort": sort, "query": query}[command](*arguments)))

"""Compares curated files with the raw objects that they come from, by SQL and without any code of ticklake's.

usage: recount.py FOLDER [SYMBOL TIMES_FEWER]

FOLDER/raw, FOLDER/curated_ticks and FOLDER/bars_1m have a folder dt=…/hr=… for each lake partition. If there is a
FOLDER/acknowledged.csv, each of its records (number, partition, offset) has to be in the ticks once; a record's number
is the field n. A query of SYMBOL has to read TIMES_FEWER fewer bytes of the ticks than of the raw objects, if these are
Parquet. The last line of standard output is ok, or a fault.
"""

import glob
import os
import sys

import duckdb

folder, symbol, times_fewer = [*sys.argv[1:], None, None][:3]
COLUMNS = {
    "symbol": "varchar",
    "event_time": "timestamp",
    **dict.fromkeys(["price", "volume", "open", "high", "low", "close"], "double"),
    "extra": "varchar",
    "kafka_partition": "int",
    "kafka_offset": "bigint",
    "kafka_timestamp": "timestamp",
}
HIVE = "hive_partitioning = true, hive_types = {dt: varchar, hr: varchar}"
READERS = {
    "parquet": f"read_parquet('%s', {HIVE})",
    "json.gz": f"read_json('%s', {HIVE}, format = 'newline_delimited', columns = {COLUMNS})",
    "csv.gz": f"read_csv('%s', {HIVE}, delim = '\t', quote = '', escape = '', nullstr = '', header = true, new_line = '\\n', auto_detect = false, columns = {COLUMNS})",
}
PLACE = "dt, hr"
ALL = f"{PLACE}, {', '.join(COLUMNS)}"
ORDER = "event_time, kafka_partition, kafka_offset"


def raw():
    """A query of all raw objects."""
    files = {end: f"{folder}/raw/*/*/*.{end}" for end in READERS}
    queries = [f"SELECT {ALL} FROM {READERS[end] % files}" for end, files in files.items() if glob.glob(files)]
    return " UNION ALL ".join(queries)


RAW = f"({raw()})"
TICKS = f"read_parquet('{folder}/curated_ticks/*/*/*', {HIVE}, filename = true, file_row_number = true)"
BARS = f"read_parquet('{folder}/bars_1m/*/*/*', {HIVE})"
ACKNOWLEDGED = f"{folder}/acknowledged.csv"
RECOUNT = f"""
    SELECT {PLACE}, symbol,
           date_trunc('minute', event_time) AS minute,
           first(coalesce(open, price) ORDER BY {ORDER}) AS open,
           max(coalesce(high, price)) AS high,
           min(coalesce(low, price)) AS low,
           last(coalesce(close, price) ORDER BY {ORDER}) AS close,
           sum(volume) AS volume,
           sum(price * volume) AS turnover,
           sum(price * volume) / nullif(sum(volume), 0) AS vwap,
           count(*) AS ticks,
           first(event_time ORDER BY {ORDER}) AS first_time,
           first(kafka_partition ORDER BY {ORDER}) AS first_partition,
           first(kafka_offset ORDER BY {ORDER}) AS first_offset,
           last(event_time ORDER BY {ORDER}) AS last_time,
           last(kafka_partition ORDER BY {ORDER}) AS last_partition,
           last(kafka_offset ORDER BY {ORDER}) AS last_offset
    FROM {RAW}
    GROUP BY ALL"""
SUMS = ["volume", "turnover", "vwap"]
EXACT = ["open", "high", "low", "close", "ticks", *(f"{end}_{part}" for end in ("first", "last") for part in ("time", "partition", "offset"))]


def faults():
    """Every comparison with its count of differing rows, none of which may differ."""
    yield "ticks that are in one of both only", f"""
        SELECT count(*) FROM ((SELECT {ALL} FROM {RAW} EXCEPT ALL SELECT {ALL} FROM {TICKS})
                              UNION ALL (SELECT {ALL} FROM {TICKS} EXCEPT ALL SELECT {ALL} FROM {RAW}))"""
    keys = f"(symbol, {ORDER})"
    yield "ticks out of order", f"""
        SELECT count(*) FROM (SELECT {keys} AS key, lag({keys}) OVER (PARTITION BY filename ORDER BY file_row_number) AS before FROM {TICKS})
        WHERE before >= key"""
    differs = [f"a.{name} IS DISTINCT FROM b.{name}" for name in EXACT]
    differs += [f"(a.{name} IS NULL) <> (b.{name} IS NULL) OR abs(a.{name} - b.{name}) > 1e-12 * abs(b.{name})" for name in SUMS]
    yield "bars that a recount does not give", f"""
        SELECT count(*) FROM {BARS} AS a FULL JOIN ({RECOUNT}) AS b USING ({PLACE}, symbol, minute) WHERE {' OR '.join(differs)}"""
    if os.path.exists(ACKNOWLEDGED):
        yield "acknowledged ticks that are not there once", f"""
            WITH acknowledged AS (
                SELECT * FROM read_csv('{ACKNOWLEDGED}', header = false, columns = {{number: bigint, partition: int, "offset": bigint}})
            ), counted AS (
                SELECT (extra->>'n')::bigint AS number, min(kafka_partition) AS partition, min(kafka_offset) AS "offset", count(*) AS times
                FROM {TICKS} GROUP BY 1
            )
            SELECT count(*) FROM acknowledged AS a LEFT JOIN counted AS b USING (number, partition, "offset")
            WHERE b.times IS DISTINCT FROM 1"""


def bytes_read(table):
    """What a query of the symbol reads from files, by the kernel's count."""
    def count():
        with open("/proc/self/io") as io:
            return int(io.readline().removeprefix("rchar: "))

    begin = count()
    duckdb.sql(f"SELECT sum(price * volume), count(extra) FROM read_parquet('{folder}/{table}/*/*/*') WHERE symbol = '{symbol}'").fetchall()
    return count() - begin


def check():
    ticks, bars = (duckdb.sql(f"SELECT count(*) FROM {of}").fetchall()[0][0] for of in (TICKS, BARS))
    if not ticks or not bars:
        return f"{ticks} ticks, {bars} bars"
    print(f"{ticks} ticks, {bars} bars")
    for fault, query in faults():
        rows = duckdb.sql(query).fetchall()[0][0]
        if rows:
            return f"{rows} {fault}"
    if symbol:
        raw, sorted = bytes_read("raw"), bytes_read("curated_ticks")
        print(f"{symbol}: {raw} bytes in raw objects, {sorted} in sorted files")
        if raw < float(times_fewer) * sorted:
            return f"a query reads {sorted} bytes of sorted files, {raw} of raw objects"
    return "ok"


print(check())

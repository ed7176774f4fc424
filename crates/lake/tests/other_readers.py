"""Compares the objects that other_readers.rs writes with the ticks that went into them; both are read without any code of ticklake's.

A line of standard input is a case, a line of standard output its answer: ok, or a fault."""

import datetime
import gzip
import json
import sys
from decimal import ROUND_HALF_UP, Context, Decimal

import duckdb

NUMBERS = ["price", "volume", "open", "high", "low", "close"]
EPOCH = datetime.datetime(1970, 1, 1)


def parse(text):
    """JSON with members in their order, repeated ones included, and with every digit of its numbers."""
    return json.loads(text, object_pairs_hook=lambda pairs: ("object", pairs), parse_float=Decimal, parse_int=Decimal)


def shortest(double):
    """The shortest decimal that reads back as the double. Of two that are equally near Rust takes the larger, and Python the even one."""
    even = Decimal(repr(double)).normalize()
    larger = Context(prec=len(even.as_tuple().digits), rounding=ROUND_HALF_UP).create_decimal(Decimal(double))
    return larger if float(larger) == double else even


def wanted(value):
    """A tick's row, but for its coordinates."""
    _, members = parse(value)
    known = {name: value for name, value in members if name in ("symbol", "event_time", *NUMBERS)}
    time = datetime.datetime.fromisoformat(known["event_time"]).replace(tzinfo=None)
    doubles = [None if known.get(name) is None else float(known[name]) for name in NUMBERS]
    inexact = [(name, known[name]) for name, double in zip(NUMBERS, doubles) if double is not None and shortest(double) != known[name]]
    extra = inexact + [(name, value) for name, value in members if name not in known]
    return [known["symbol"], time, *doubles, ("object", extra) if extra else None]


def rows(path, kind, columns):
    """An object as Athena's SerDes read it: text is split at tabs, without quotes and escapes, below a header."""
    types = "{" + ", ".join(f"{name}: '{type}'" for name, type in columns) + "}"
    source = {
        "parquet": f"read_parquet('{path}')",
        "json": f"read_json('{path}', format = 'newline_delimited', columns = {types})",
        "csv": f"read_csv('{path}', delim = '\t', quote = '', escape = '', nullstr = '', header = true, new_line = '\\n', auto_detect = false, columns = {types})",
    }[kind]
    relation = duckdb.sql(f"select {', '.join(name for name, _ in columns)} from {source} order by kafka_offset")
    return relation.fetchall()


def check(case):
    stamp = case["timestamp_ms"]
    stamp = None if stamp is None else EPOCH + datetime.timedelta(milliseconds=stamp)
    for kind, path in case["objects"].items():
        if kind != "parquet":
            with gzip.open(path) as object:
                text = object.read()
            if any(byte < 0x20 and byte not in b"\t\n" for byte in text):
                return f"{kind}: a control character"
        got = rows(path, kind, case["columns"])
        if len(got) != len(case["values"]):
            return f"{kind}: {len(got)} rows of {len(case['values'])} ticks"
        for offset, (row, value) in enumerate(zip(got, case["values"])):
            *fields, extra, partition, at, time = row
            fields.append(None if extra is None else parse(extra))
            if [*fields, partition, at, time] != [*wanted(value), case["partition"], offset, stamp]:
                return f"{kind}: {row!r} of {value!r}"
    return "ok"


for line in sys.stdin:
    try:
        answer = check(json.loads(line))
    except Exception as error:
        answer = f"{type(error).__name__}: {error}"
    print(answer.replace("\n", " "), flush=True)

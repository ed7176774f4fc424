//! A reader that is not ours finds in every encoding the ticks that came, with any JSON
//! in their unknown fields.

#![allow(clippy::expect_used, reason = "a test says what it expected")]

use std::cell::RefCell;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use lake::{Batch, COLUMNS, Format, Record, Routing, Rules};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

/// DuckDB, for all cases.
struct DuckDb {
    child: Child,
    cases: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl DuckDb {
    fn start() -> Self {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut python = Command::new(package.join("../../.tools/venv/bin/python"));
        python
            .arg(package.join("tests/other_readers.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = python
            .spawn()
            .expect("the tools in .tools/, which cargo xtask test installs");
        let (cases, answers) = (
            child.stdin.take().expect("a pipe"),
            child.stdout.take().expect("a pipe"),
        );
        Self {
            child,
            cases,
            answers: BufReader::new(answers),
        }
    }

    fn answer(&mut self, case: &Value) -> String {
        writeln!(self.cases, "{case}").expect("DuckDB takes a case");
        let mut answer = String::new();
        self.answers
            .read_line(&mut answer)
            .expect("DuckDB's answer");
        answer.trim_end().to_owned()
    }
}

impl Drop for DuckDb {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn string() -> impl Strategy<Value = String> {
    "(?s).{0,12}".prop_map(|text| Value::from(text).to_string())
}

fn number() -> impl Strategy<Value = String> {
    "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?"
}

/// White space between two tokens.
fn space() -> impl Strategy<Value = String> {
    "[ \t\r\n]{0,2}"
}

/// Members or elements between two brackets.
fn listed(
    brackets: [char; 2],
    items: impl Strategy<Value = Vec<String>>,
) -> impl Strategy<Value = String> {
    (items, space()).prop_map(move |(items, space)| {
        let [begin, end] = brackets;
        format!(
            "{begin}{space}{}{space}{end}",
            items.join(&format!("{space},{space}"))
        )
    })
}

fn member(
    name: impl Strategy<Value = String>,
    value: impl Strategy<Value = String>,
) -> impl Strategy<Value = String> {
    (name, space(), value).prop_map(|(name, space, value)| format!("{name}{space}:{space}{value}"))
}

/// Any JSON, pretty-printed in some way or other.
fn any_json() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        number(),
        string()
    ];
    scalar.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            listed(['[', ']'], prop::collection::vec(inner.clone(), 0..4)),
            listed(
                ['{', '}'],
                prop::collection::vec(member(string(), inner), 0..4)
            ),
        ]
    })
}

fn any_tick() -> impl Strategy<Value = String> {
    let quoted = |text: String| Value::from(text).to_string();
    let symbol = "[A-Z\"'\\\\,;|.^=é𝄞-]{1,8}".prop_map(quoted);
    let time = (0i64..253_402_207_200_000_000).prop_map(move |micros| {
        quoted(
            tick::EventTime::from_micros(micros)
                .expect("a time")
                .to_string(),
        )
    });
    let optional = ["volume", "open", "high", "low", "close"]
        .map(|name| prop::option::of(member(Just(quoted(name.to_owned())), number())));
    let unknown = prop::collection::vec(member(string(), any_json()), 0..4);
    let named = |name: &str| Just(quoted(name.to_owned()));
    let members = (
        member(named("symbol"), symbol),
        member(named("event_time"), time),
        member(named("price"), number()),
        optional,
        unknown,
    );
    let members = members.prop_map(|(symbol, time, price, optional, unknown)| {
        [symbol, time, price]
            .into_iter()
            .chain(optional.into_iter().flatten())
            .chain(unknown)
            .collect::<Vec<_>>()
    });
    listed(['{', '}'], members.prop_shuffle())
}

#[test]
fn duckdb_reads_what_came_in_every_encoding() {
    let (duckdb, folder) = (
        RefCell::new(DuckDb::start()),
        tempfile::tempdir().expect("a folder"),
    );
    let columns: Vec<_> = COLUMNS
        .iter()
        .map(|column| (column.name, column.kind.glue()))
        .collect();
    let rules = Rules {
        routing: Routing::default(),
        max_record_bytes: 1 << 20,
        skip_tombstones: false,
    };
    let cases = (
        prop::collection::vec(any_tick(), 1..12),
        prop::option::of(0i64..253_402_207_200_000),
    );
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 64,
        ..ProptestConfig::with_source_file(file!())
    });
    let ran = runner.run(&cases, |(values, timestamp_ms)| {
        let mut batch = Batch::new("ticks", 7, 0, rules);
        for (offset, value) in (0..).zip(&values) {
            let value = Some(value.as_bytes());
            let record = Record {
                offset,
                timestamp_ms,
                value,
                ..Record::default()
            };
            let letter = batch.push(&record, Instant::now());
            prop_assert!(letter.is_none(), "{:?}", letter);
        }
        let mut objects = serde_json::Map::new();
        for format in Format::ALL {
            let path = folder.path().join(format!("rows.{}", format.extension()));
            let (_, sealed) = batch.seal(format, "id", "attempt").expect("objects");
            std::fs::write(&path, &sealed[0].body).expect("a file");
            objects.insert(format.name().to_owned(), json!(path));
        }
        let case = json!({
            "objects": objects,
            "columns": columns,
            "values": values,
            "partition": 7,
            "timestamp_ms": timestamp_ms,
        });
        prop_assert_eq!(duckdb.borrow_mut().answer(&case), "ok");
        Ok(())
    });
    ran.expect("every row as it came");
}

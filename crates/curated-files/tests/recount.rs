//! Sorted files and bars equal the answers of SQL over the raw objects (G12). DuckDB reads both
//! without any code of ours.

#![allow(clippy::expect_used, reason = "a test says what it expected")]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use curated_files::Unit;
use lake::Format;

use support::{ALL, Tick, files, raw_objects};

const DAY_MICROS: i64 = 86_400_000_000;

/// Asks DuckDB about the files of so many units, with further arguments of `recount.py`.
fn check(ticks: &[Tick], format: Format, units: u32, more: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |table: &str, number: usize, extension: &str, body: &[u8]| {
        // Any partition: the same for raw objects and files.
        let folder = folder.path().join(table).join("dt=2026-11-24/hr=05");
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join(format!("{number}.{extension}")), body).expect("a file");
    };
    let raw = raw_objects(format, ticks, 25_000);
    for (number, body) in raw.iter().enumerate() {
        write("raw", number, format.extension(), body);
    }
    for unit in 0..units {
        let unit = Unit { units, unit, ..ALL };
        let files = files(unit, raw.iter().map(|body| (format, body.clone())));
        write("curated_ticks", unit.unit as usize, "parquet", &files.ticks);
        write("bars_1m", unit.unit as usize, "parquet", &files.bars);
    }
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(package.join("../../.tools/venv/bin/python"))
        .arg(package.join("../../local/recount.py"))
        .arg(folder.path())
        .args(more)
        .output()
        .expect("the tools in .tools/, which cargo xtask test installs");
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said.lines().last(), Some("ok"), "{said}{errors}");
}

/// The sample data: each row is a bar of a day.
fn of_csv() -> Vec<Tick> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/indexProcessed-hsi.csv");
    let text = fs::read_to_string(path).expect("the sample data");
    let tick = |(offset, line): (i64, &str)| {
        let fields: Vec<&str> = line.split(',').collect();
        let number = |place: usize| fields[place].parse::<f64>().ok();
        let day: jiff::civil::Date = fields[1].parse().expect("a day");
        let days = (day - jiff::civil::date(1970, 1, 1)).get_days();
        Tick {
            symbol: fields[0].to_owned(),
            event_time: i64::from(days) * DAY_MICROS,
            price: number(5).expect("a close"),
            optional: [number(7), number(2), number(3), number(4), number(5)],
            extra: Some(format!(r#"{{"CloseUSD":"{}"}}"#, fields[8])),
            partition: 0,
            offset,
            timestamp_ms: Some(0),
        }
    };
    (0..).zip(text.lines().skip(1)).map(tick).collect()
}

/// Prices that move by hundredths, times that repeat and go back, some volumes missing,
/// over an hour that ends at midnight.
fn random_walk(ticks: i64, symbols: usize) -> Vec<Tick> {
    let mut random = fastrand::Rng::with_seed(12);
    let mut cents = vec![10_000; symbols];
    let begin = 20_000 * DAY_MICROS - 3_600_000_000;
    let tick = |n: i64| {
        let symbol = random.usize(..symbols);
        cents[symbol] = (cents[symbol] + random.i64(-3..=3)).max(1);
        Tick {
            symbol: format!("S{symbol:03}"),
            event_time: begin + (n * 3_600_000 / ticks - random.i64(0..2_000)) * 1_000,
            price: cents[symbol] as f64 / 100.0,
            optional: [
                random.bool().then(|| random.f64() * 1e6),
                None,
                None,
                None,
                None,
            ],
            extra: random.bool().then(|| r#"{"venue":"X"}"#.to_owned()),
            partition: (n % 4) as i32,
            offset: n / 4,
            timestamp_ms: Some(begin / 1_000 + n * 3_600_000 / ticks),
        }
    };
    (0..ticks).map(tick).collect()
}

#[test]
fn duckdb_finds_the_sample_data_in_sorted_files_and_bars() {
    for format in Format::ALL {
        check(&of_csv(), format, 2, &[]);
    }
}

#[test]
fn duckdb_finds_a_random_walk_in_sorted_files_and_bars() {
    for format in [Format::Json, Format::Csv] {
        check(&random_walk(20_000, 40), format, 4, &[]);
    }
}

#[test]
fn a_query_of_one_symbol_reads_a_few_of_the_bytes() {
    let query = ["S250", "4.0"];
    check(&random_walk(600_000, 500), Format::Parquet, 1, &query);
}

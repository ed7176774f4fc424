//! Damaged objects, and those that ticklake did not write, give an error and never wrong
//! rows.

#![allow(clippy::expect_used, reason = "a test says what it expected")]

mod support;

use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use curated_files::Collector;
use flate2::Compression;
use flate2::write::GzEncoder;
use lake::{COLUMNS, Format, parquet_schema};
use parquet::basic::Type as Physical;
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use proptest::prelude::*;

use support::{ALL, any_ticks, files, raw_objects, rows};

/// Returns the fault that is found in an object.
fn fault(format: Format, body: impl Into<Bytes>) -> String {
    let added = Collector::new(ALL).add(format, body.into());
    added.expect_err("an error").to_string()
}

fn gzip(text: impl AsRef<[u8]>) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(text.as_ref()).expect("gzip");
    gzip.finish().expect("gzip")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_object_that_is_cut_off_is_refused(
        ticks in any_ticks(),
        format in prop::sample::select(&Format::ALL[..]),
        part in 0.0..1.0f64,
    ) {
        for object in raw_objects(format, &ticks, 9) {
            let cut = object.slice(..(object.len() as f64 * part) as usize);
            // An empty file of text would have no rows, in which a reader finds no fault.
            prop_assume!(!cut.is_empty() || format != Format::Json);
            let added = Collector::new(ALL).add(format, cut);
            prop_assert!(added.is_err(), "{} of {} bytes", object.len(), part);
        }
    }

    /// A flipped bit may give another number, as Parquet has no checksums. But it never
    /// ends the function, whose other units go on.
    #[test]
    fn an_object_with_flipped_bits_does_not_panic(
        ticks in any_ticks(),
        format in prop::sample::select(&Format::ALL[..]),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0u8..8), 1..4),
    ) {
        for object in raw_objects(format, &ticks, 9) {
            let mut damaged = object.to_vec();
            for (place, bit) in &flips {
                let place = place.index(damaged.len());
                damaged[place] ^= 1 << bit;
            }
            let _ = Collector::new(ALL).add(format, damaged.into());
        }
    }
}

/// Returns a file of one row, whose column `name` has this type and value.
fn parquet(name: &str, definition: &str, value: &[u8]) -> Vec<u8> {
    let schema = parquet_schema("tick", &COLUMNS);
    let (begin, rest) = schema.split_once(&format!(" {name}")).expect("a column");
    let begin = &begin[..begin.rfind(['{', ';']).expect("a bracket") + 1];
    let end = rest.split_once(';').expect("an end").1;
    write(&format!("{begin} {definition}; {end}"), name, value)
}

fn write(schema: &str, name: &str, value: &[u8]) -> Vec<u8> {
    let schema = Arc::new(parse_message_type(schema).expect("a schema"));
    let mut file =
        SerializedFileWriter::new(Vec::new(), schema.clone(), Arc::default()).expect("a file");
    let mut group = file.next_row_group().expect("a group");
    for field in schema.get_fields() {
        let mut column = group.next_column().expect("a column").expect("a column");
        let own = Some(value).filter(|_| field.name() == name);
        let eight = |of: u64| {
            u64::from_le_bytes(
                own.and_then(|own| own.try_into().ok())
                    .unwrap_or(of.to_le_bytes()),
            )
        };
        let levels = field.is_optional().then_some(&[1i16][..]);
        match field.get_physical_type() {
            Physical::BYTE_ARRAY => column.typed::<ByteArrayType>().write_batch(
                &[ByteArray::from(own.unwrap_or(b"A").to_vec())],
                levels,
                None,
            ),
            Physical::DOUBLE => column.typed::<DoubleType>().write_batch(
                &[f64::from_bits(eight(1.5f64.to_bits()))],
                levels,
                None,
            ),
            Physical::INT32 => column.typed::<Int32Type>().write_batch(&[7], levels, None),
            _ => column
                .typed::<Int64Type>()
                .write_batch(&[eight(1) as i64], levels, None),
        }
        .expect("a value");
        column.close().expect("a column");
    }
    group.close().expect("a group");
    file.into_inner().expect("a file")
}

#[test]
fn parquet_with_other_columns_is_refused() {
    let own = write(&parquet_schema("tick", &COLUMNS), "", b"");
    assert!(Collector::new(ALL).add(Format::Parquet, own.into()).is_ok());
    for (name, definition, wanted) in [
        (
            "event_time",
            "REQUIRED INT64 event_time (TIMESTAMP(MILLIS,false))",
            "its columns are not those of a tick: \
             got REQUIRED INT64 event_time (TIMESTAMP(MILLIS,false));, \
             wanted REQUIRED INT64 event_time (TIMESTAMP(MICROS,false));",
        ),
        (
            "event_time",
            "REQUIRED INT64 event_time (TIMESTAMP(MICROS,true))",
            "got REQUIRED INT64 event_time (TIMESTAMP(MICROS,true));",
        ),
        (
            "symbol",
            "OPTIONAL BYTE_ARRAY symbol (STRING)",
            "wanted REQUIRED",
        ),
        (
            "symbol",
            "REQUIRED BYTE_ARRAY symbol",
            "wanted REQUIRED BYTE_ARRAY symbol (STRING)",
        ),
        (
            "kafka_partition",
            "REQUIRED INT64 kafka_partition",
            "wanted REQUIRED INT32",
        ),
        (
            "volume",
            "OPTIONAL DOUBLE volumes",
            "wanted OPTIONAL DOUBLE volume;",
        ),
        (
            "volume",
            "OPTIONAL DOUBLE volume; OPTIONAL DOUBLE bid",
            "got OPTIONAL DOUBLE bid;",
        ),
        (
            "kafka_timestamp",
            "",
            "got no column, wanted OPTIONAL INT64 kafka_timestamp",
        ),
    ] {
        let file = match definition {
            "" => {
                let schema = parquet_schema("tick", &COLUMNS[..COLUMNS.len() - 1]);
                write(&schema, "", b"")
            }
            _ => parquet(name, definition, b""),
        };
        let fault = fault(Format::Parquet, file);
        assert!(fault.contains(wanted), "{definition}: {fault}");
    }
    assert!(fault(Format::Parquet, "<html>").contains("Parquet"));
}

#[test]
fn parquet_with_values_that_no_tick_has_is_refused() {
    let schema = parquet_schema("tick", &COLUMNS);
    let micros = |micros: i64| micros.to_le_bytes().to_vec();
    let double = |double: f64| double.to_le_bytes().to_vec();
    for (name, value, wanted) in [
        (
            "symbol",
            b" A".to_vec(),
            "column symbol: got \" A\", wanted a symbol",
        ),
        (
            "symbol",
            b"A\xff".to_vec(),
            "column symbol: got \"A\u{fffd}\"",
        ),
        ("symbol", Vec::new(), "column symbol: got \"\""),
        (
            "extra",
            b"\xff".to_vec(),
            "column extra: got \"invalid utf-8",
        ),
        ("extra", Vec::new(), "column extra: got \"\""),
        (
            "event_time",
            micros(-1),
            "column event_time: got \"-1\", wanted microseconds",
        ),
        ("event_time", micros(i64::MAX), "column event_time"),
        (
            "kafka_timestamp",
            micros(i64::MIN),
            "column kafka_timestamp",
        ),
        (
            "price",
            double(f64::NAN),
            "column price: got \"NaN\", wanted a finite number",
        ),
        (
            "volume",
            double(f64::INFINITY),
            "column volume: got \"inf\"",
        ),
    ] {
        let fault = fault(Format::Parquet, write(&schema, name, &value));
        assert!(fault.contains(wanted), "{name}: {fault}");
    }
}

const JSON: &str = r#"{"symbol":"A","event_time":"2010-01-08 09:30:00.500000","price":1.5,"volume":7.0,"open":null,"high":null,"low":null,"close":null,"extra":null,"kafka_partition":3,"kafka_offset":41,"kafka_timestamp":null}"#;
const CSV: &str = "A\t2010-01-08 09:30:00.500000\t1.5\t7.0\t\t\t\t\t\t3\t41\t";

#[test]
fn json_of_another_form_is_refused() {
    let line = |line: &str| gzip(format!("{JSON}\n{line}\n"));
    assert!(
        Collector::new(ALL)
            .add(Format::Json, line(JSON).into())
            .is_ok()
    );
    for (before, after, wanted) in [
        (
            r#","close":null"#,
            "",
            "line 2: its columns are not those of a tick: got missing field `close`",
        ),
        (
            r#","close":null"#,
            r#","close":null,"bid":1"#,
            "unknown field `bid`",
        ),
        (
            r#","close":null"#,
            r#","close":null,"close":1"#,
            "duplicate field `close`",
        ),
        ("1.5", r#""1.5""#, "got \"1.5\", wanted a finite number"),
        ("1.5", "null", "got null, wanted a finite number"),
        ("1.5", "1e999", "got 1e999, wanted a finite number"),
        ("41", "41.5", "line 2:"),
        (
            " 09:30",
            "T09:30",
            "column event_time: got \"2010-01-08T09:30:00.500000\"",
        ),
        (r#""A""#, r#"" A""#, "column symbol"),
        (JSON, "", "line 2:"),
        (JSON, "[]", "line 2:"),
    ] {
        let fault = fault(Format::Json, line(&JSON.replace(before, after)));
        assert!(fault.contains(wanted), "{after}: {fault}");
    }
}

#[test]
fn text_of_another_form_is_refused() {
    let header = COLUMNS.map(|column| column.name).join("\t");
    let text = |line: &str| gzip(format!("{header}\n{line}\n"));
    assert!(
        Collector::new(ALL)
            .add(Format::Csv, text(CSV).into())
            .is_ok()
    );
    for (before, after, wanted) in [
        (
            "\t3\t",
            "\t",
            "line 2: its columns are not those of a tick: got 11 fields, wanted 12",
        ),
        ("\t3\t", "\t3\t\t", "got 13 fields"),
        (
            "1.5",
            "inf",
            "column price: got \"inf\", wanted a finite number",
        ),
        ("1.5", "", "column price: got \"\""),
        ("7.0", "\"7\"", "column volume"),
        (
            "41",
            "4.1",
            "column kafka_offset: got \"4.1\", wanted a whole number",
        ),
        ("3\t", "2147483648\t", "column kafka_partition"),
        ("\t7.0", "\u{0}\t7.0", "column price"),
    ] {
        let fault = fault(Format::Csv, text(&CSV.replacen(before, after, 1)));
        assert!(fault.contains(wanted), "{after}: {fault}");
    }
    for (text, wanted) in [
        (String::new(), "got no header"),
        (
            format!("{CSV}\n"),
            "line 1: its columns are not those of a tick: got A\t2010",
        ),
        (format!("{header}\textra\n{CSV}\n"), "line 1: its columns"),
        (format!("{header}\n{CSV}"), "line 2: it is cut off"),
    ] {
        let fault = fault(Format::Csv, gzip(&text));
        assert!(fault.contains(wanted), "{text}: {fault}");
    }
    let line = [
        header.as_bytes(),
        b"\n",
        b"A\xff",
        &CSV.as_bytes()[1..],
        b"\n",
    ]
    .concat();
    assert!(fault(Format::Csv, gzip(line)).contains("line 2: invalid utf-8"));
    assert!(fault(Format::Csv, "no gzip").contains("it cannot be read as gzip"));
}

/// Athena reads all members of a gzip file.
#[test]
fn every_member_of_a_gzip_file_is_read() {
    let both = [gzip(format!("{JSON}\n")), gzip(format!("{JSON}\n"))].concat();
    let files = files(ALL, [(Format::Json, Bytes::from(both))]);
    assert_eq!(rows(&files.ticks).len(), 2);
    let garbage = [gzip(format!("{JSON}\n")), b"garbage".to_vec()].concat();
    assert!(fault(Format::Json, garbage).contains("gzip"));
}

#[test]
fn a_long_value_does_not_fill_the_message() {
    let tick = "x".repeat(1 << 20);
    let fault = fault(Format::Csv, {
        let header = COLUMNS.map(|column| column.name).join("\t");
        gzip(format!("{header}\n{}\n", CSV.replacen('A', &tick, 1)))
    });
    assert!(fault.len() < 300, "{} bytes", fault.len());
}

//! Ticks as a test knows them, raw objects of them, and the contents of files.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::time::Instant;

use bytes::Bytes;
use curated_files::{Collector, Files, Unit};
use lake::{Batch, Format, Kind, Record, Routing, Rules};
use parquet::file::reader::FileReader as _;
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::record::Field;
use proptest::prelude::*;
use tick::EventTime;

const HOUR_MICROS: i64 = 3_600_000_000;
const OPTIONAL: [&str; 5] = ["volume", "open", "high", "low", "close"];

/// The whole of a lake partition.
pub(crate) const ALL: Unit = Unit {
    units: 1,
    unit: 0,
    max_rows: 8_000_000,
};

/// A tick with its coordinates.
#[derive(Debug, Clone)]
pub(crate) struct Tick {
    pub(crate) symbol: String,
    pub(crate) event_time: i64,
    pub(crate) price: f64,
    /// Volume, open, high, low, close.
    pub(crate) optional: [Option<f64>; 5],
    pub(crate) extra: Option<String>,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) timestamp_ms: Option<i64>,
}

impl Tick {
    /// Returns the order of a sorted file.
    pub(crate) fn key(&self) -> (&[u8], i64, i32, i64) {
        let Self {
            symbol,
            event_time,
            partition,
            offset,
            ..
        } = self;
        (symbol.as_bytes(), *event_time, *partition, *offset)
    }

    /// Returns the tick's row as a reader of the lake gets it, numbers as their bits.
    pub(crate) fn row(&self) -> Vec<String> {
        let bits = |number: f64| format!("{:016x}", number.to_bits());
        let or_null = |text: Option<String>| text.unwrap_or("null".to_owned());
        let mut row = vec![
            format!("{:?}", self.symbol),
            self.event_time.to_string(),
            bits(self.price),
        ];
        row.extend(self.optional.map(|number| or_null(number.map(bits))));
        row.push(or_null(
            self.extra.as_ref().map(|extra| format!("{extra:?}")),
        ));
        row.push(self.partition.to_string());
        row.push(self.offset.to_string());
        row.push(or_null(
            self.timestamp_ms.map(|ms| (ms * 1_000).to_string()),
        ));
        row
    }

    /// Returns the Kafka value.
    fn json(&self) -> String {
        let time = EventTime::from_micros(self.event_time).expect("a time");
        let mut json = format!(
            r#"{{"symbol":{},"event_time":"{time}","price":{:?}"#,
            serde_json::Value::from(self.symbol.as_str()),
            self.price
        );
        for (name, number) in OPTIONAL.iter().zip(self.optional) {
            if let Some(number) = number {
                json += &format!(r#","{name}":{number:?}"#);
            }
        }
        // `extra` is one object: its members stand beside the others in the value.
        let members = self
            .extra
            .as_deref()
            .and_then(|extra| extra.strip_prefix('{'));
        json += &members.map_or("}".to_owned(), |members| format!(",{members}"));
        json
    }
}

/// Returns the raw objects of the ticks of one Kafka partition, which come in the order of
/// their offsets.
pub(crate) fn raw(format: Format, ticks: &[Tick]) -> Vec<Bytes> {
    let Some(first) = ticks.first() else {
        return Vec::new();
    };
    let rules = Rules {
        routing: Routing::default(),
        max_record_bytes: 1 << 20,
        skip_tombstones: false,
    };
    let mut batch = Batch::new("ticks", first.partition, first.offset, rules);
    for tick in ticks {
        let json = tick.json();
        let record = Record {
            offset: tick.offset,
            timestamp_ms: tick.timestamp_ms,
            value: Some(json.as_bytes()),
            ..Record::default()
        };
        assert_eq!(batch.push(&record, Instant::now()), None, "{json}");
    }
    let (_, objects) = batch.seal(format, "id", "attempt").expect("objects");
    assert!(
        objects
            .iter()
            .all(|object| object.key.kind() == Kind::Data(format))
    );
    objects.into_iter().map(|object| object.body).collect()
}

/// Returns raw objects of the ticks of several partitions, of so many ticks at most.
pub(crate) fn raw_objects(format: Format, ticks: &[Tick], most: usize) -> Vec<Bytes> {
    let mut partitions: Vec<i32> = ticks.iter().map(|tick| tick.partition).collect();
    partitions.sort_unstable();
    partitions.dedup();
    let mut objects = Vec::new();
    for partition in partitions {
        let own: Vec<Tick> = ticks
            .iter()
            .filter(|tick| tick.partition == partition)
            .cloned()
            .collect();
        objects.extend(own.chunks(most).flat_map(|ticks| raw(format, ticks)));
    }
    objects
}

/// Returns the files of a unit.
pub(crate) fn files(unit: Unit, objects: impl IntoIterator<Item = (Format, Bytes)>) -> Files {
    let mut collector = Collector::new(unit);
    for (format, body) in objects {
        collector.add(format, body).expect("ticks");
    }
    collector.finish().expect("files")
}

/// Returns the rows of a Parquet file, numbers as their bits.
pub(crate) fn rows(file: &Bytes) -> Vec<Vec<String>> {
    let file = SerializedFileReader::new(file.clone()).expect("Parquet");
    let rows = file.get_row_iter(None).expect("rows");
    rows.map(|row| {
        let row = row.expect("a row");
        row.get_column_iter()
            .map(|(_, field)| text(field))
            .collect()
    })
    .collect()
}

fn text(field: &Field) -> String {
    match field {
        Field::Null => "null".to_owned(),
        Field::Str(text) => format!("{text:?}"),
        Field::Double(number) => format!("{:016x}", number.to_bits()),
        Field::TimestampMicros(number) | Field::Long(number) => number.to_string(),
        Field::Int(number) => number.to_string(),
        other => format!("a type that no column has: {other:?}"),
    }
}

/// Returns the number whose bits these are.
pub(crate) fn number(bits: &str) -> Option<f64> {
    u64::from_str_radix(bits, 16).ok().map(f64::from_bits)
}

/// Some ticks of few symbols and few times, so that they meet: at the ends of minutes,
/// hours and days, at equal times, out of order.
pub(crate) fn any_ticks() -> impl Strategy<Value = Vec<Tick>> {
    prop::collection::vec((0..3, any_tick()), 0..40).prop_map(|ticks| {
        let mut offsets = [10; 3];
        let place = |(partition, mut tick): (i32, Tick)| {
            let next = &mut offsets[partition as usize];
            (tick.partition, tick.offset) = (partition, *next);
            *next += 1;
            tick
        };
        ticks.into_iter().map(place).collect()
    })
}

fn any_tick() -> impl Strategy<Value = Tick> {
    let symbol = prop_oneof![
        Just("A".to_owned()),
        Just("AA".to_owned()),
        Just("a".to_owned()),
        Just("é\"\\".to_owned()),
        Just("𝄞".repeat(32)),
        "[A-C]{1,2}",
    ];
    let begin = prop_oneof![
        Just(0),
        Just(60_000_000),
        Just(HOUR_MICROS),
        Just(24 * HOUR_MICROS),
        Just(1_262_943_000_000_000),
        Just(253_402_207_140_000_000),
    ];
    let beside = prop_oneof![Just(0), Just(1), Just(59_999_999), 0..60_000_000i64];
    let event_time = (begin, beside).prop_map(|(begin, beside)| begin + beside);
    let extra = prop_oneof![
        3 => Just(None),
        1 => "[a-zé𝄞 ,'|]{0,9}".prop_map(|text| Some(format!(r#"{{"x":"{text}\t\"","y":[1,{{}}]}}"#))),
    ];
    let timestamp_ms = prop_oneof![
        1 => Just(None),
        4 => prop_oneof![Just(Some(0)), (0i64..253_402_207_200_000).prop_map(Some)],
    ];
    let numbers = (
        any_number(),
        prop::array::uniform5(prop::option::of(any_number())),
    );
    (symbol, event_time, numbers, extra, timestamp_ms).prop_map(
        |(symbol, event_time, (price, optional), extra, timestamp_ms)| Tick {
            symbol,
            event_time,
            price,
            optional,
            extra,
            partition: 0,
            offset: 0,
            timestamp_ms,
        },
    )
}

fn any_number() -> impl Strategy<Value = f64> {
    let finite = prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO;
    prop_oneof![
        4 => (-2_000..2_000i32).prop_map(|number| f64::from(number) / 8.0),
        1 => prop_oneof![Just(-0.0), Just(0.0), Just(f64::MAX), Just(f64::MIN), Just(5e-324)],
        2 => finite,
    ]
}

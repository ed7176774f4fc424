//! Sorted files have exactly the ticks of the objects that were read.

#![allow(clippy::expect_used, reason = "a test says what it expected")]

mod support;

use bytes::Bytes;
use curated_files::{Collector, InputError, Unit};
use lake::{COLUMNS, Format};
use parquet::basic::Encoding;
use parquet::file::reader::FileReader as _;
use parquet::file::serialized_reader::SerializedFileReader;
use proptest::prelude::*;

use support::{ALL, Tick, any_ticks, files, raw_objects, rows};

fn sorted(ticks: &[Tick]) -> Vec<Vec<String>> {
    let mut ticks: Vec<&Tick> = ticks.iter().collect();
    ticks.sort_by(|a, b| a.key().cmp(&b.key()));
    ticks.into_iter().map(Tick::row).collect()
}

/// Raw objects of mixed formats.
fn mixed(ticks: &[Tick], most: usize, first: usize) -> Vec<(Format, Bytes)> {
    let by_format = Format::ALL.map(|format| raw_objects(format, ticks, most));
    let [parquet, json, csv] = by_format;
    let objects = parquet.into_iter().zip(json).zip(csv).enumerate();
    let one = |(place, ((parquet, json), csv))| match (place + first) % 3 {
        0 => (Format::Parquet, parquet),
        1 => (Format::Json, json),
        _ => (Format::Csv, csv),
    };
    objects.map(one).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn ticks_of_any_format_are_the_same_to_the_bit_and_sorted(
        ticks in any_ticks(),
        most in 1usize..12,
        first in 0usize..3,
    ) {
        let files = files(ALL, mixed(&ticks, most, first));
        prop_assert_eq!(rows(&files.ticks), sorted(&ticks));
        prop_assert_eq!(files.summary.ticks, ticks.len() as u64);
        prop_assert_eq!(files.summary.bars, rows(&files.bars).len() as u64);
        let times = ticks.iter().map(|tick| tick.event_time);
        prop_assert_eq!(
            files.summary.event_times.map(|(first, last)| (first.micros(), last.micros())),
            times.clone().min().zip(times.max())
        );
    }

    #[test]
    fn each_tick_is_in_one_unit_and_a_later_version_may_be_cut_in_another_way(
        ticks in any_ticks(),
        late in any_ticks(),
        before in 0u32..4,
        after in 0u32..4,
    ) {
        let (before, after) = (1 << before, 1 << after);
        let late: Vec<Tick> = late
            .into_iter()
            .map(|tick| Tick { offset: tick.offset + 1_000, ..tick })
            .collect();
        let unit = |units, unit| Unit { units, unit, ..ALL };
        let (raw, raw_late) = (mixed(&ticks, 7, 0), mixed(&late, 5, 1));
        let base: Vec<Bytes> = (0..before)
            .map(|place| files(unit(before, place), raw.clone()).ticks)
            .collect();
        let mut found = Vec::new();
        let mut symbols = 0;
        for place in 0..after {
            // The parts of the base that have a symbol of the unit.
            let common = before.min(after);
            let parts = (0..before)
                .filter(|part| part % common == place % common)
                .map(|part| (Format::Parquet, base[part as usize].clone()));
            let version = files(unit(after, place), parts.chain(raw_late.clone()));
            symbols += version.summary.symbols;
            found.extend(rows(&version.ticks));
        }
        found.sort();
        let all = [ticks, late].concat();
        let mut wanted = sorted(&all);
        wanted.sort();
        prop_assert_eq!(found, wanted);
        let mut names: Vec<&str> = all.iter().map(|tick| tick.symbol.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        prop_assert_eq!(symbols, names.len() as u64);
    }
}

fn tick(n: i64) -> Tick {
    Tick {
        symbol: format!("S{:03}", n % 500),
        event_time: 1_795_496_400_000_000 + 1_000 * n,
        price: 100.0 + (n % 97) as f64 / 100.0,
        optional: [Some(n as f64), None, None, None, None],
        extra: None,
        partition: 0,
        offset: n,
        timestamp_ms: Some(1_795_496_400_000),
    }
}

#[test]
fn a_file_of_several_groups_is_sorted_and_has_what_engines_prune_by() {
    let ticks: Vec<Tick> = (0..140_000).map(tick).collect();
    let raw = raw_objects(Format::Parquet, &ticks, 50_000);
    let files = files(ALL, raw.iter().map(|raw| (Format::Parquet, raw.clone())));
    assert_eq!(rows(&files.ticks), sorted(&ticks));

    let file = SerializedFileReader::new(files.ticks.clone()).expect("Parquet");
    let groups = file.metadata().row_groups();
    assert_eq!(groups.len(), 2);
    for group in groups {
        let order: Vec<&str> = group
            .sorting_columns()
            .expect("an order")
            .iter()
            .map(|column| COLUMNS[column.column_idx as usize].name)
            .collect();
        assert_eq!(
            order,
            ["symbol", "event_time", "kafka_partition", "kafka_offset"]
        );
        let symbol = group.column(0);
        assert!(
            symbol.bloom_filter_offset().is_some() && symbol.dictionary_page_offset().is_some()
        );
        assert!(
            symbol
                .bloom_filter_length()
                .is_some_and(|bytes| bytes < 4_096)
        );
        assert!(
            group
                .columns()
                .iter()
                .all(|column| column.offset_index_offset().is_some()
                    && column.column_index_offset().is_some())
        );
        assert!(
            group
                .column(1)
                .encodings()
                .any(|it| it == Encoding::DELTA_BINARY_PACKED)
        );
    }
}

#[test]
fn the_schema_is_that_of_a_raw_object() {
    let schema = |file: Bytes| {
        let file = SerializedFileReader::new(file).expect("Parquet");
        file.metadata().file_metadata().schema().clone()
    };
    let raw = raw_objects(Format::Parquet, &[tick(0)], 1).remove(0);
    let files = files(ALL, []);
    assert_eq!(schema(files.ticks.clone()), schema(raw));
    assert_eq!((rows(&files.ticks).len(), rows(&files.bars).len()), (0, 0));
}

#[test]
fn a_unit_has_no_more_rows_than_it_may_have() {
    let ticks: Vec<Tick> = (0..50).map(tick).collect();
    for format in Format::ALL {
        let raw = raw_objects(format, &ticks, 50).remove(0);
        let add = |max_rows| Collector::new(Unit { max_rows, ..ALL }).add(format, raw.clone());
        assert!(add(50).is_ok());
        assert!(
            matches!(add(49), Err(InputError::TooLarge { rows: 50 })),
            "{format:?}"
        );
    }
}

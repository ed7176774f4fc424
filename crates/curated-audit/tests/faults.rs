//! A version that follows from its raw objects has no fault, and each kind of fault that
//! is made by hand is found.

#![allow(clippy::expect_used, reason = "a test says what it expected")]

#[path = "../../curated-files/tests/support/mod.rs"]
mod support;

use bytes::Bytes;
use curated_audit::{BAR_COLUMNS, Comparison, Faults, Search};
use curated_files::{Files, Unit};
use lake::{Format, Kind, LakePartition, ObjectKey};
use proptest::prelude::*;

use support::{ALL, Tick, any_ticks, files, raw};

const FOLDER: &str = "curated/ticks/";

/// A raw object; without a body it has expired.
type Raw = (ObjectKey, Option<Bytes>);

fn key(format: Format, topic: &str, ticks: &[Tick]) -> ObjectKey {
    let hour = LakePartition::parse("2010-01-08", "09").expect("an hour");
    let (first, last) = (&ticks[0], &ticks[ticks.len() - 1]);
    let kind = Kind::Data(format);
    ObjectKey::new(
        kind,
        hour,
        topic,
        first.partition,
        first.offset,
        last.offset,
    )
    .expect("a key")
}

/// Returns the raw objects of ticks: one of each partition and some ticks.
fn objects(format: Format, ticks: &[Tick], most: usize) -> Vec<Raw> {
    let mut ticks = ticks.to_vec();
    // Then each batch is one object.
    for tick in &mut ticks {
        tick.timestamp_ms = Some(1_262_943_000_000);
    }
    ticks.sort_by_key(|tick| (tick.partition, tick.offset));
    let of_partition = ticks.chunk_by(|a, b| a.partition == b.partition);
    let batches = of_partition.flat_map(|ticks| ticks.chunks(most));
    let object = |batch: &[Tick]| {
        let mut bodies = raw(format, batch);
        assert_eq!(bodies.len(), 1);
        (key(format, "ticks", batch), bodies.pop())
    };
    batches.map(object).collect()
}

/// Returns the files of each unit of a version.
fn curated(objects: &[Raw], units: u32) -> Vec<Files> {
    let unit = |unit| Unit { units, unit, ..ALL };
    let bodies = || {
        objects.iter().filter_map(|(key, body)| match key.kind() {
            Kind::Data(format) => Some((format, body.clone()?)),
            Kind::DeadLetter => None,
        })
    };
    (0..units)
        .map(|number| files(unit(number), bodies()))
        .collect()
}

/// The findings about a version.
struct Found {
    faults: Vec<String>,
    bars: u64,
    not_compared: u64,
}

fn part_key(part: usize) -> String {
    format!("part-{part:04}.parquet")
}

fn audit(objects: &[Raw], parts: &[Files]) -> Found {
    let mut comparison = Comparison::new(objects.iter().map(|(key, _)| key));
    for (key, body) in objects {
        comparison.raw(key, body.clone()).expect("a raw object");
    }
    let (mut bars, mut faults) = (0, Faults::default());
    for (part, files) in parts.iter().enumerate() {
        let key = part_key(part);
        let unit = part.try_into().expect("few parts");
        let recount = comparison.part(&key, unit, files.ticks.clone(), &mut faults);
        let recount = recount.expect("ticks");
        let compared = recount.compare("bars", files.bars.clone(), &mut faults);
        bars += compared.expect("bars");
    }
    for range in comparison.suspects() {
        let mut search = Search::new(range);
        for (key, body) in objects {
            if let Some(body) = body.clone().filter(|_| range.inputs().contains(key)) {
                search.raw(key, body).expect("a raw object");
            }
        }
        for (part, files) in parts.iter().enumerate() {
            let searched = search.part(&part_key(part), files.ticks.clone());
            searched.expect("ticks");
        }
        search.report(FOLDER, &mut faults);
    }
    Found {
        faults: faults.listed().iter().map(ToString::to_string).collect(),
        bars,
        not_compared: comparison.not_compared(),
    }
}

#[track_caller]
fn expect_faults(found: &Found, wanted: &[&str]) {
    let count = (found.faults.len(), wanted.len());
    assert_eq!(count.0, count.1, "{:#?}", found.faults);
    for (fault, wanted) in found.faults.iter().zip(wanted) {
        assert!(fault.contains(wanted), "{:#?}", found.faults);
    }
}

/// Six ticks of two symbols and two partitions.
fn ticks() -> Vec<Tick> {
    let tick = |number: i64| Tick {
        symbol: ["B", "A"][usize::from(number % 2 == 0)].to_owned(),
        event_time: 1_262_943_000_000_000 + number * 1_000_000,
        price: 1.5 + number as f64,
        optional: [Some(2.0), None, None, None, None],
        extra: None,
        partition: i32::from(number >= 3),
        offset: number,
        timestamp_ms: Some(1_262_943_000_000),
    };
    (0..6).map(tick).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_version_that_follows_from_its_raw_objects_has_no_fault(
        ticks in any_ticks(),
        format in prop::sample::select(&Format::ALL[..]),
        units in prop::sample::select(vec![1, 2, 4]),
    ) {
        let objects = objects(format, &ticks, 9);
        let found = audit(&objects, &curated(&objects, units));
        prop_assert!(found.faults.is_empty(), "{:#?}", found.faults);
        prop_assert_eq!(found.not_compared, 0);
    }

    /// Any bit of any value of any row.
    #[test]
    fn a_price_that_differs_in_one_bit_is_found(
        ticks in any_ticks(),
        format in prop::sample::select(&Format::ALL[..]),
        place in any::<prop::sample::Index>(),
        bit in 0..51u32,
    ) {
        prop_assume!(!ticks.is_empty());
        let mut others = ticks.clone();
        let tick = place.get(&others).offset;
        let changed = others.iter_mut().find(|other| other.offset == tick).expect("a tick");
        changed.price = f64::from_bits(changed.price.to_bits() ^ (1_u64 << bit));
        let (partition, offset) = (changed.partition, changed.offset);
        let parts = curated(&objects(format, &others, 9), 1);
        let found = audit(&objects(format, &ticks, 9), &parts);
        let wanted = format!("the row of partition {partition}, offset {offset} has other values");
        prop_assert_eq!(found.faults.len(), 1);
        prop_assert!(found.faults[0].contains(&wanted), "{:#?}", found.faults);
    }
}

#[test]
fn a_row_that_is_missing_twice_or_of_no_raw_object_is_found() {
    let objects = objects(Format::Csv, &ticks(), 2);
    let whole = curated(&objects, 1);
    let of = |ticks: &[Tick]| curated(&self::objects(Format::Parquet, ticks, 9), 1);
    expect_faults(&audit(&objects, &whole), &[]);

    let missing = audit(&objects, &of(&ticks()[1..]));
    let wanted = "curated/ticks/: no part has the row of partition 0, offset 0 of ticks/";
    expect_faults(&missing, &[wanted]);

    let twice = [whole.clone(), of(&ticks()[4..5])].concat();
    let wanted = "the row of partition 1, offset 4 is there twice, in part-0000.parquet and \
                  part-0001.parquet";
    expect_faults(
        &audit(&objects, &twice),
        &[
            "part-0001.parquet: symbol \"A\" is also in part 0000",
            wanted,
        ],
    );

    let mut more = ticks();
    more.push(Tick {
        offset: 99,
        ..more[0].clone()
    });
    let wanted = "the row of partition 0, offset 99 is in no raw object that the version has";
    expect_faults(&audit(&objects, &of(&more)), &[wanted]);
}

#[test]
fn a_part_that_is_not_sorted_is_found() {
    let objects = objects(Format::Parquet, &ticks(), 9);
    // A raw object has the columns of a part, in the order of the offsets.
    let unsorted = |(_, body): &Raw| Files {
        ticks: body.clone().expect("a body"),
        ..curated(&[objects[0].clone()], 1).remove(0)
    };
    let parts: Vec<Files> = objects[..1].iter().map(unsorted).collect();
    let found = audit(&objects[..1], &parts);
    let wanted = "part-0000.parquet: the row of partition 0, offset 2 is before the row in front";
    expect_faults(&found, &[wanted]);
}

#[test]
fn a_bar_that_a_recount_does_not_give_is_found() {
    let objects = objects(Format::Json, &ticks(), 9);
    let whole = curated(&objects, 1).remove(0);
    let with_bars_of = |change: fn(&mut Vec<Tick>)| {
        let mut others = ticks();
        change(&mut others);
        let others = curated(&self::objects(Format::Json, &others, 9), 1).remove(0);
        audit(
            &objects,
            &[Files {
                bars: others.bars,
                ..whole.clone()
            }],
        )
    };
    let found = with_bars_of(|_| {});
    expect_faults(&found, &[]);
    assert_eq!(found.bars, 2);
    let high = "bars: the bar of \"A\" at 09:30: high is 5.500000000000001, a recount gives 5.5";
    expect_faults(
        &with_bars_of(|ticks| ticks[4].optional[2] = Some(5.500_000_000_000_001)),
        &[high],
    );
    let volume = "the bar of \"B\" at 09:30: volume is 6.00000000001, a recount gives 6.0";
    // The turnover is still within 1e-12 of its size.
    let wanted = [volume];
    expect_faults(
        &with_bars_of(|ticks| ticks[1].optional[0] = Some(2.000_000_000_01)),
        &wanted,
    );
    let found = with_bars_of(|ticks| ticks.retain(|tick| tick.symbol == "A"));
    expect_faults(
        &found,
        &["the bar of \"B\" at 09:30 is absent; it has 3 ticks"],
    );
    let found = with_bars_of(|ticks| ticks[5].event_time += 60_000_000);
    let wanted = [
        "the bar of \"B\" at 09:30: high is",
        "close is",
        "ticks is 2, a recount gives 3",
        "last coordinate",
        "volume",
        "turnover",
        "the bar of \"B\" at 09:31 has no tick",
    ];
    expect_faults(&found, &wanted);
}

#[test]
fn rows_of_expired_raw_objects_are_counted_and_the_others_compared() {
    let mut objects = objects(Format::Parquet, &ticks(), 2);
    let parts = curated(&objects, 1);
    objects[0].1 = None;
    let found = audit(&objects, &parts);
    expect_faults(&found, &[]);
    assert_eq!(found.not_compared, 2);
    // A row of one that exists is missing.
    let fewer: Vec<Tick> = ticks()
        .into_iter()
        .filter(|tick| tick.offset != 3)
        .collect();
    let parts = curated(&self::objects(Format::Parquet, &fewer, 9), 1);
    let wanted = "no part has the row of partition 1, offset 3";
    expect_faults(&audit(&objects, &parts), &[wanted]);
}

/// Rows do not name their topic, so two topics can have rows with the same coordinate.
#[test]
fn objects_of_two_topics_may_share_coordinates() {
    let mut objects = objects(Format::Parquet, &ticks(), 9);
    let more: Vec<Tick> = ticks()[..3]
        .iter()
        .map(|tick| Tick {
            price: tick.price + 1.0,
            ..tick.clone()
        })
        .collect();
    let body = raw(Format::Parquet, &more).pop();
    objects.push((key(Format::Parquet, "others", &more), body));
    let parts = curated(&objects, 1);
    expect_faults(&audit(&objects, &parts), &[]);
    let without = curated(&objects[..2], 1);
    let wanted = ["offset 0", "offset 1", "offset 2"];
    expect_faults(&audit(&objects, &without), &wanted);
    // One of the two has expired: the rows of the other one have to be there.
    objects[2].1 = None;
    expect_faults(&audit(&objects, &parts), &[]);
}

#[test]
fn the_columns_of_bars_are_those_that_are_written() {
    assert_eq!(BAR_COLUMNS, curated_files::BAR_COLUMNS);
}

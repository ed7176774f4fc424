//! Bars equal a recount of the ticks (G12).

#![allow(clippy::expect_used, reason = "a test says what it expected")]

mod support;

use std::collections::BTreeMap;

use curated_files::BAR_COLUMNS;
use lake::Format;
use proptest::prelude::*;

use support::{ALL, Tick, any_ticks, files, number, raw_objects, rows};

/// A bar as the recount has it.
#[derive(Debug)]
struct Recount {
    open: f64,
    high: f64,
    low: f64,
    close: f64,
    /// Volumes, and each times its price.
    volumes: Vec<f64>,
    turnovers: Vec<f64>,
    /// Count, and time, partition and offset of the first and the last tick.
    whole: [i64; 7],
}

fn recount(ticks: &[Tick]) -> BTreeMap<(String, i64), Recount> {
    let mut minutes: BTreeMap<(String, i64), Vec<&Tick>> = BTreeMap::new();
    for tick in ticks {
        let minute = tick.event_time / 60_000_000 * 60_000_000;
        let of_minute = minutes.entry((tick.symbol.clone(), minute)).or_default();
        of_minute.push(tick);
    }
    minutes
        .into_iter()
        .map(|(minute, ticks)| (minute, bar(&ticks)))
        .collect()
}

fn bar(ticks: &[&Tick]) -> Recount {
    let first = ticks.iter().min_by_key(|tick| tick.key()).expect("a tick");
    let last = ticks.iter().max_by_key(|tick| tick.key()).expect("a tick");
    let price = |tick: &Tick, column: usize| tick.optional[column].unwrap_or(tick.price);
    let with_volume = || {
        ticks
            .iter()
            .filter_map(|tick| Some((tick, tick.optional[0]?)))
    };
    Recount {
        open: price(first, 1),
        high: ticks
            .iter()
            .map(|tick| price(tick, 2))
            .fold(f64::NEG_INFINITY, f64::max),
        low: ticks
            .iter()
            .map(|tick| price(tick, 3))
            .fold(f64::INFINITY, f64::min),
        close: price(last, 4),
        volumes: with_volume().map(|(_, volume)| volume).collect(),
        turnovers: with_volume()
            .map(|(tick, volume)| tick.price * volume)
            .collect(),
        whole: [
            ticks.len() as i64,
            first.event_time,
            first.partition.into(),
            first.offset,
            last.event_time,
            last.partition.into(),
            last.offset,
        ],
    }
}

/// Compares a sum with its terms to 1e-12 of their size. If terms exceed the largest
/// double on the way, any order gives another sum; infinity and its opposite have none.
fn is_sum(found: Option<f64>, terms: &[f64]) -> bool {
    let size: f64 = terms.iter().map(|term| term.abs()).sum();
    match found {
        None => terms.is_empty() || !size.is_finite(),
        Some(found) if size.is_finite() => {
            !terms.is_empty() && (found - terms.iter().sum::<f64>()).abs() <= 1e-12 * size
        }
        Some(_) => true,
    }
}

fn check(ticks: &[Tick], format: Format) -> Result<(), TestCaseError> {
    let objects = raw_objects(format, ticks, 9);
    let files = files(ALL, objects.into_iter().map(|object| (format, object)));
    let found = rows(&files.bars);
    let wanted = recount(ticks);
    prop_assert_eq!(found.len(), wanted.len());
    // The recount's order is the file's: by symbol, bytewise, and minute.
    for (found, ((symbol, minute), wanted)) in found.iter().zip(&wanted) {
        let place = |name: &str| BAR_COLUMNS.iter().position(|column| column.name == name);
        let of = |name: &str| &found[place(name).expect("a column")];
        prop_assert_eq!(of("symbol"), &format!("{symbol:?}"));
        prop_assert_eq!(of("minute"), &minute.to_string());
        let prices = ["open", "close"].map(|name| number(of(name)).map(f64::to_bits));
        prop_assert_eq!(
            prices,
            [wanted.open, wanted.close].map(|it| Some(it.to_bits()))
        );
        // A minute has two zeros at times: neither is larger than the other.
        let extremes = ["high", "low"].map(|name| number(of(name)));
        prop_assert_eq!(extremes, [Some(wanted.high), Some(wanted.low)]);
        let [volume, turnover, vwap] = ["volume", "turnover", "vwap"].map(|name| number(of(name)));
        prop_assert!(
            is_sum(volume, &wanted.volumes),
            "{:?} of {:?}",
            volume,
            wanted
        );
        prop_assert!(
            is_sum(turnover, &wanted.turnovers),
            "{:?} of {:?}",
            turnover,
            wanted
        );
        let ratio = turnover.zip(volume.filter(|volume| *volume != 0.0));
        let ratio = ratio.map(|(turnover, volume)| turnover / volume);
        // Infinity by infinity is no price.
        let ratio = ratio.filter(|ratio| !ratio.is_nan());
        prop_assert_eq!(vwap.map(f64::to_bits), ratio.map(f64::to_bits));
        let whole = [
            "ticks",
            "first_time",
            "first_partition",
            "first_offset",
            "last_time",
            "last_partition",
            "last_offset",
        ];
        prop_assert_eq!(whole.map(|name| of(name).parse()), wanted.whole.map(Ok));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn bars_are_a_recount_of_the_ticks(
        ticks in any_ticks(),
        format in prop::sample::select(&Format::ALL[..]),
    ) {
        check(&ticks, format)?;
    }
}

fn tick(offset: i64, volume: Option<f64>) -> Tick {
    Tick {
        symbol: "A".to_owned(),
        event_time: 0,
        price: 2.0,
        optional: [volume, None, None, None, None],
        extra: None,
        partition: 0,
        offset,
        timestamp_ms: None,
    }
}

/// Returns volume, turnover and VWAP of the bar of ticks with these volumes, at a price of 2.
fn sums(volumes: &[Option<f64>], format: Format) -> [Option<f64>; 3] {
    let ticks = (0..).zip(volumes);
    let ticks: Vec<Tick> = ticks.map(|(n, volume)| tick(n, *volume)).collect();
    let objects = raw_objects(format, &ticks, 9);
    let files = files(ALL, objects.into_iter().map(|raw| (format, raw)));
    let bar = &rows(&files.bars)[0];
    [&bar[6], &bar[7], &bar[8]].map(|bits| number(bits))
}

/// A naive sum of these loses every 1.
#[test]
fn a_sum_keeps_small_terms_beside_large_ones() {
    let volumes = [1e16, 1.0, 1.0, 1.0, 1.0, -1e16].map(Some);
    let wanted = [Some(4.0), Some(8.0), Some(2.0)];
    assert_eq!(sums(&volumes, Format::Parquet), wanted);
}

/// No order of these terms is right, and infinity says so. It must not become NaN.
#[test]
fn a_sum_past_the_largest_double_is_infinite() {
    let [volume, ..] = sums(&[Some(f64::MAX); 3], Format::Parquet);
    assert_eq!(volume, Some(f64::INFINITY));
}

/// Each turnover is past the largest double, one with each sign. Null says that there is no
/// sum; NaN would spoil every sum over it.
#[test]
fn infinity_and_its_opposite_have_no_sum() {
    let volumes = [f64::MAX, -f64::MAX, 1.0].map(Some);
    assert_eq!(sums(&volumes, Format::Parquet), [Some(1.0), None, None]);
}

#[test]
fn volume_is_null_only_if_no_tick_has_one_and_zero_has_no_average() {
    for (volumes, wanted) in [
        ([None, None], [None, None, None]),
        ([None, Some(0.0)], [Some(0.0), Some(0.0), None]),
        ([None, Some(3.0)], [Some(3.0), Some(6.0), Some(2.0)]),
    ] {
        assert_eq!(sums(&volumes, Format::Csv), wanted);
    }
}

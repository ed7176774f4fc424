//! The summaries of all units are a count of the hour's ticks.

#![allow(clippy::expect_used, reason = "a test says what it expected")]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use curated_files::Unit;
use curation::{PriceMove, Summary};
use lake::Format;
use proptest::prelude::*;
use tick::{EventTime, Symbol};

use support::{ALL, Tick, any_ticks, files, raw_objects};

/// Returns the summary, counted in one pass over the ticks.
fn count(ticks: &[Tick]) -> Summary {
    let mut symbols: BTreeMap<&str, Vec<&Tick>> = BTreeMap::new();
    for tick in ticks {
        symbols.entry(&tick.symbol).or_default().push(tick);
    }
    let minute = |tick: &Tick| (tick.symbol.clone(), tick.event_time / 60_000_000);
    let times = || ticks.iter().map(|tick| tick.event_time);
    let time = |micros| EventTime::from_micros(micros).expect("a time");
    let moved = |(symbol, ticks): (&&str, &Vec<&Tick>)| {
        let first = ticks.iter().min_by_key(|tick| tick.key())?;
        let last = ticks.iter().max_by_key(|tick| tick.key())?;
        PriceMove::new(
            Symbol::parse(symbol).expect("a symbol"),
            first.optional[1].unwrap_or(first.price),
            last.optional[4].unwrap_or(last.price),
        )
    };
    Summary {
        ticks: ticks.len() as u64,
        symbols: symbols.len() as u64,
        bars: ticks.iter().map(minute).collect::<BTreeSet<_>>().len() as u64,
        event_times: times().min().map(time).zip(times().max().map(time)),
        moves: symbols.iter().filter_map(moved).collect(),
    }
}

proptest! {
    #[test]
    fn summaries_of_units_are_a_count_of_the_ticks(
        ticks in any_ticks(),
        format in prop::sample::select(&Format::ALL[..]),
        units in prop::sample::select(&[1, 2, 4][..]),
    ) {
        let objects = raw_objects(format, &ticks, 9);
        let of_unit = |unit| {
            let unit = Unit { units, unit, ..ALL };
            files(unit, objects.iter().map(|object| (format, object.clone()))).summary
        };
        let hour = (0..units).map(of_unit).fold(Summary::default(), Summary::and);
        prop_assert_eq!(hour, count(&ticks));
    }
}

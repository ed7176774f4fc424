use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;

use crate::fault::Faults;
use crate::read::{self, BarRow, Coordinate, ReadError, Row};
use crate::sum::Sum;

const MINUTE_MICROS: i64 = 60_000_000;
/// How far VWAP may be from turnover divided by volume, for a VWAP of 1.
const VWAP_TOLERANCE: f64 = 1e-12;

/// The bars of a part of `curated_ticks`, counted by their definition in docs/query.md.
#[derive(Debug, Default)]
pub struct Recount {
    /// By symbol and minute.
    bars: BTreeMap<String, BTreeMap<i64, Bar>>,
}

#[derive(Debug)]
struct Bar {
    first: Coordinate,
    last: Coordinate,
    open: f64,
    high: f64,
    low: f64,
    close: f64,
    ticks: i64,
    /// Volume and turnover, if a tick has a volume.
    sums: Option<(Sum, Sum)>,
}

impl Recount {
    pub(crate) fn add(&mut self, row: &Row<'_>) {
        let minute = row.event_time - row.event_time.rem_euclid(MINUTE_MICROS);
        let coordinate = (row.event_time, row.partition.into(), row.offset);
        let [volume, open, high, low, close] = row.numbers;
        // A tick that is a bar itself counts as one.
        let open = open.unwrap_or(row.price);
        let high = high.unwrap_or(row.price);
        let low = low.unwrap_or(row.price);
        let close = close.unwrap_or(row.price);
        if !self.bars.contains_key(row.symbol) {
            self.bars.insert(row.symbol.to_owned(), BTreeMap::new());
        }
        let Some(of_symbol) = self.bars.get_mut(row.symbol) else {
            return;
        };
        let bar = of_symbol.entry(minute).or_insert(Bar {
            first: coordinate,
            last: coordinate,
            open,
            high,
            low,
            close,
            ticks: 0,
            sums: None,
        });
        bar.ticks += 1;
        if coordinate < bar.first {
            (bar.first, bar.open) = (coordinate, open);
        }
        if coordinate > bar.last {
            (bar.last, bar.close) = (coordinate, close);
        }
        if high.total_cmp(&bar.high).is_gt() {
            bar.high = high;
        }
        if low.total_cmp(&bar.low).is_lt() {
            bar.low = low;
        }
        if let Some(volume) = volume {
            let (volumes, turnovers) = bar.sums.get_or_insert_default();
            volumes.add(volume);
            turnovers.add(row.price * volume);
        }
    }

    /// Compares the part of `bars_1m` of the same unit; returns the number of its bars.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn compare(
        mut self,
        key: &str,
        body: Bytes,
        faults: &mut Faults,
    ) -> Result<u64, ReadError> {
        let mut count = 0;
        let mut before: Option<(String, i64)> = None;
        let mut is_sorted = true;
        read::for_each_bar(body, &mut |bar| {
            count += 1;
            let follows = before.as_ref().is_none_or(|(symbol, minute)| {
                (symbol.as_bytes(), *minute) < (bar.symbol.as_bytes(), bar.minute)
            });
            if !follows && std::mem::take(&mut is_sorted) {
                let problem =
                    "is not after the bar in front of it; wanted the order symbol, minute";
                faults.add(
                    key,
                    format_args!("{} {problem}", named(bar.symbol, bar.minute)),
                );
            }
            before = Some((bar.symbol.to_owned(), bar.minute));
            let own = self.bars.get_mut(bar.symbol);
            match own.and_then(|bars| bars.remove(&bar.minute)) {
                Some(own) => own.compare(key, bar, faults),
                None => {
                    let name = named(bar.symbol, bar.minute);
                    faults.add(key, format_args!("{name} has no tick, or is there twice"));
                }
            }
        })?;
        for (symbol, bars) in &self.bars {
            for (minute, bar) in bars {
                let name = named(symbol, *minute);
                faults.add(
                    key,
                    format_args!("{name} is absent; it has {} ticks", bar.ticks),
                );
            }
        }
        Ok(count)
    }
}

impl Bar {
    fn compare(&self, key: &str, bar: &BarRow<'_>, faults: &mut Faults) {
        let name = named(bar.symbol, bar.minute);
        let mut differs = |column: &str, got: &dyn fmt::Debug, own: &dyn fmt::Debug| {
            faults.add(
                key,
                format_args!("{name}: {column} is {got:?}, a recount gives {own:?}"),
            );
        };
        let prices = [self.open, self.high, self.low, self.close];
        let columns = ["open", "high", "low", "close"];
        for ((got, own), column) in bar.prices.iter().zip(prices).zip(columns) {
            if got.to_bits() != own.to_bits() {
                differs(column, got, &own);
            }
        }
        if bar.ticks != self.ticks {
            differs("ticks", &bar.ticks, &self.ticks);
        }
        if bar.first != self.first {
            differs("first coordinate", &bar.first, &self.first);
        }
        if bar.last != self.last {
            differs("last coordinate", &bar.last, &self.last);
        }
        let sums = [("volume", bar.volume), ("turnover", bar.turnover)];
        let own = self.sums.map(|(volume, turnover)| [volume, turnover]);
        for (place, (column, got)) in sums.into_iter().enumerate() {
            let own = own.map(|sums| sums[place]);
            let is_same = match (got, own) {
                (Some(got), Some(own)) => own.is(got),
                (None, Some(own)) => own.is_past_the_largest(),
                (got, None) => got.is_none(),
            };
            if !is_same {
                differs(column, &OrNull(got), &OrNull(own.map(|own| own.value())));
            }
        }
        // Volume and turnover have been compared, so their quotient is the wanted one.
        let vwap = match (bar.turnover, bar.volume) {
            (Some(turnover), Some(volume)) if volume != 0.0 => Some(turnover / volume),
            _ => None,
        };
        let is_same = match (bar.vwap, vwap) {
            (Some(got), Some(own)) => {
                !own.is_finite() || (got - own).abs() <= VWAP_TOLERANCE * own.abs()
            }
            (None, Some(own)) => own.is_nan(),
            (got, None) => got.is_none(),
        };
        if !is_same {
            differs("vwap", &OrNull(bar.vwap), &OrNull(vwap));
        }
    }
}

/// A number as a query shows it.
struct OrNull(Option<f64>);

impl fmt::Debug for OrNull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(number) => number.fmt(f),
            None => f.write_str("null"),
        }
    }
}

fn named(symbol: &str, minute: i64) -> String {
    let (hours, minutes) = (
        minute.div_euclid(3_600_000_000),
        minute.div_euclid(MINUTE_MICROS),
    );
    let (hour, minute) = (hours.rem_euclid(24), minutes.rem_euclid(60));
    format!("the bar of {symbol:?} at {hour:02}:{minute:02}")
}

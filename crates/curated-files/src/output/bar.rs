use tick::EventTime;

use crate::order::Order;
use crate::rows::{CLOSE, HIGH, LOW, OPEN, Rows, VOLUME};

const MINUTE_MICROS: i64 = 60_000_000;

/// The ticks of a symbol in a minute of their event time. A tick with open, high, low or
/// close is a bar itself and counts as one.
#[derive(Debug, Clone)]
pub(super) struct Bar {
    pub(super) symbol: u32,
    /// The minute's begin.
    pub(super) minute: i64,
    pub(super) open: f64,
    pub(super) high: f64,
    pub(super) low: f64,
    pub(super) close: f64,
    pub(super) volume: Sum,
    pub(super) turnover: Sum,
    pub(super) ticks: i64,
    pub(super) first: Coordinate,
    pub(super) last: Coordinate,
}

/// The order of a symbol's ticks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Coordinate {
    pub(super) time: EventTime,
    pub(super) partition: i32,
    pub(super) offset: i64,
}

/// A sum with the digits that its additions lost (Neumaier, 1974): a million volumes give
/// the same in any order, but for the last bits.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sum {
    has_terms: bool,
    sum: f64,
    lost: f64,
}

impl Sum {
    fn add(&mut self, term: f64) {
        let sum = self.sum + term;
        self.lost += if self.sum.abs() >= term.abs() {
            (self.sum - sum) + term
        } else {
            (term - sum) + self.sum
        };
        self.sum = sum;
        self.has_terms = true;
    }

    /// Returns the sum, or `None` if nothing was added or the terms have none.
    pub(super) fn value(&self) -> Option<f64> {
        // Past the largest double the lost digits are NaN, and the sum is infinite.
        let exact = self.sum + self.lost;
        let sum = if exact.is_nan() { self.sum } else { exact };
        // Infinity and its opposite have no sum.
        (self.has_terms && !sum.is_nan()).then_some(sum)
    }
}

impl Bar {
    /// Returns the bars of the rows by symbol and minute.
    pub(super) fn all<'a>(rows: &'a Rows, order: &'a Order) -> impl Iterator<Item = Self> + 'a {
        order.symbols.iter().flat_map(move |symbol| {
            let minute = |row: &u32| {
                let time = rows.event_time.get(*row).micros();
                time.div_euclid(MINUTE_MICROS)
            };
            order.rows[symbol.places.clone()]
                .chunk_by(move |a, b| minute(a) == minute(b))
                .filter_map(move |of_minute| Self::of(rows, symbol.symbol, of_minute))
        })
    }

    /// Returns the bar of some rows in their order, or `None` without a row.
    fn of(rows: &Rows, symbol: u32, of_minute: &[u32]) -> Option<Self> {
        let (first, last) = (*of_minute.first()?, *of_minute.last()?);
        let price = |column: usize, row: u32| rows.price_as(column, row);
        let time = rows.event_time.get(first).micros();
        let mut bar = Self {
            symbol,
            minute: time - time.rem_euclid(MINUTE_MICROS),
            open: price(OPEN, first),
            high: price(HIGH, first),
            low: price(LOW, first),
            close: price(CLOSE, last),
            volume: Sum::default(),
            turnover: Sum::default(),
            ticks: of_minute.len() as i64,
            first: Coordinate::of(rows, first),
            last: Coordinate::of(rows, last),
        };
        for row in of_minute {
            bar.high = largest(bar.high, price(HIGH, *row));
            bar.low = -largest(-bar.low, -price(LOW, *row));
            if let Some(volume) = rows.optional[VOLUME].get(*row) {
                bar.volume.add(volume);
                bar.turnover.add(rows.price.get(*row) * volume);
            }
        }
        Some(bar)
    }

    /// Returns the price of an average share, if the bar has a volume.
    pub(super) fn vwap(&self) -> Option<f64> {
        let volume = self.volume.value().filter(|volume| *volume != 0.0)?;
        Some(self.turnover.value()? / volume).filter(|vwap| !vwap.is_nan())
    }
}

/// Returns the larger number. Of two zeros it is the positive one, whichever came first.
fn largest(a: f64, b: f64) -> f64 {
    if a.total_cmp(&b).is_ge() { a } else { b }
}

impl Coordinate {
    fn of(rows: &Rows, row: u32) -> Self {
        Self {
            time: rows.event_time.get(row),
            partition: rows.partition.get(row),
            offset: rows.offset.get(row),
        }
    }
}

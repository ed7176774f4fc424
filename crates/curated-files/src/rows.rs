use tick::EventTime;

use crate::Unit;
use crate::column::{Column, Sparse, Texts};
use crate::input_error::InputError;
use crate::symbols::Symbols;

/// Columns with numbers that a tick may be without: volume, open, high, low, close.
pub(crate) const OPTIONAL: usize = 5;
pub(crate) const VOLUME: usize = 0;
pub(crate) const OPEN: usize = 1;
pub(crate) const HIGH: usize = 2;
pub(crate) const LOW: usize = 3;
pub(crate) const CLOSE: usize = 4;

/// Most bytes of `extra` in a unit. With the columns of 8 million rows and their files
/// they fit into the function's memory.
const MAX_TEXT_BYTES: u64 = 768 << 20;

/// The ticks of a unit by column, in the order in which they came.
#[derive(Debug)]
pub(crate) struct Rows {
    max_rows: u64,
    len: u32,
    pub(crate) symbols: Symbols,
    pub(crate) symbol: Column<u32>,
    pub(crate) event_time: Column<EventTime>,
    pub(crate) price: Column<f64>,
    pub(crate) optional: [Sparse<f64>; OPTIONAL],
    pub(crate) extra: Texts,
    pub(crate) partition: Column<i32>,
    pub(crate) offset: Column<i64>,
    pub(crate) kafka_timestamp: Sparse<i64>,
}

/// A tick of one of the unit's symbols, as a line of text has it.
pub(crate) struct Row<'a> {
    pub(crate) symbol: u32,
    pub(crate) event_time: EventTime,
    pub(crate) price: f64,
    pub(crate) optional: [Option<f64>; OPTIONAL],
    pub(crate) extra: &'a str,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) kafka_timestamp: Option<EventTime>,
}

impl Rows {
    pub(crate) fn new(unit: Unit) -> Self {
        Self {
            max_rows: unit.max_rows,
            len: 0,
            symbols: Symbols::new(unit),
            symbol: Column::default(),
            event_time: Column::default(),
            price: Column::default(),
            optional: std::array::from_fn(|_| Sparse::default()),
            extra: Texts::default(),
            partition: Column::default(),
            offset: Column::default(),
            kafka_timestamp: Sparse::default(),
        }
    }

    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    /// Returns a row's own open, high, low or close, or the price of one that has none.
    pub(crate) fn price_as(&self, column: usize, row: u32) -> f64 {
        let own = self.optional[column].get(row);
        own.unwrap_or_else(|| self.price.get(row))
    }

    pub(crate) fn push(&mut self, row: &Row<'_>) -> Result<(), InputError> {
        self.make_room(1)?;
        self.symbol.push(row.symbol);
        self.event_time.push(row.event_time);
        self.price.push(row.price);
        for (column, value) in self.optional.iter_mut().zip(row.optional) {
            column.push(value);
        }
        self.extra.push(row.extra.as_bytes());
        self.partition.push(row.partition);
        self.offset.push(row.offset);
        self.kafka_timestamp
            .push(row.kafka_timestamp.map(EventTime::micros));
        Ok(())
    }

    /// Counts rows that the caller adds to every column.
    pub(crate) fn make_room(&mut self, rows: usize) -> Result<(), InputError> {
        let wanted = u64::from(self.len) + rows as u64;
        let len = u32::try_from(wanted).ok();
        match len.filter(|_| wanted <= self.max_rows && self.extra.bytes() <= MAX_TEXT_BYTES) {
            Some(len) => self.len = len,
            None => return Err(InputError::TooLarge { rows: wanted }),
        }
        Ok(())
    }
}

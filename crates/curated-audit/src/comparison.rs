use std::collections::HashMap;

use bytes::Bytes;
use lake_layout::{Format, Kind, ObjectKey};

use crate::fault::Faults;
use crate::ranges::{OffsetRange, Ranges};
use crate::read::{self, ReadError, Row};
use crate::recount::Recount;

/// Compares the parts of a version with its raw objects. It takes each of them once, in
/// any order.
#[derive(Debug)]
pub struct Comparison {
    ranges: Ranges,
    /// The part that has a symbol's rows.
    symbols: HashMap<String, u32>,
    ticks: u64,
}

/// The order of the rows: symbol, event time, Kafka partition and offset.
type Place = (String, i64, i32, i64);

impl Comparison {
    /// Returns a comparison of a version that has these raw objects: its own, those of
    /// its base, and so on.
    pub fn new<'a>(inputs: impl IntoIterator<Item = &'a ObjectKey>) -> Self {
        Self {
            ranges: Ranges::of(inputs),
            symbols: HashMap::new(),
            ticks: 0,
        }
    }

    /// Takes a raw object, or the news that it does not exist any more.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn raw(&mut self, key: &ObjectKey, body: Option<Bytes>) -> Result<(), ReadError> {
        let Some(range) = self.ranges.get_mut(key.partition(), key.first()) else {
            return Ok(());
        };
        match (body, key.kind()) {
            (Some(body), Kind::Data(format)) => {
                let read = read::for_each_row(format, body, &mut |row| range.raw.add(row));
                read.inspect_err(|_| range.gone += 1)
            }
            _ => {
                range.gone += 1;
                Ok(())
            }
        }
    }

    /// Takes the part of `curated_ticks` of a unit; returns the bars of its rows.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn part(
        &mut self,
        key: &str,
        unit: u32,
        body: Bytes,
        faults: &mut Faults,
    ) -> Result<Recount, ReadError> {
        let mut recount = Recount::default();
        let mut before: Option<Place> = None;
        let mut unsorted = 0;
        read::for_each_row(Format::Parquet, body, &mut |row| {
            let follows = before.as_ref().is_none_or(|before| is_after(before, row));
            if !follows && unsorted == 0 {
                let problem = "is before the row in front of it; wanted the order symbol, \
                               event_time, kafka_partition, kafka_offset";
                faults.add(key, format_args!("{} {problem}", named(row)));
            }
            unsorted += u64::from(!follows);
            self.take(key, unit, row, before.as_ref(), faults);
            recount.add(row);
            match &mut before {
                Some((symbol, time, partition, offset)) if symbol == row.symbol => {
                    (*time, *partition, *offset) = (row.event_time, row.partition, row.offset);
                }
                _ => before = Some(place(row)),
            }
        })?;
        Ok(recount)
    }

    fn take(
        &mut self,
        key: &str,
        unit: u32,
        row: &Row<'_>,
        before: Option<&Place>,
        faults: &mut Faults,
    ) {
        self.ticks += 1;
        match self.ranges.get_mut(row.partition, row.offset) {
            Some(range) => range.curated.add(row),
            None => {
                let problem = format!("{} is in no raw object that the version has", named(row));
                faults.add(key, problem);
            }
        }
        if before.is_some_and(|(symbol, ..)| symbol == row.symbol) {
            return;
        }
        match self.symbols.get(row.symbol) {
            Some(other) if *other != unit => {
                let problem = format!("symbol {:?} is also in part {other:04}", row.symbol);
                faults.add(key, problem);
            }
            Some(_) => {}
            None => {
                self.symbols.insert(row.symbol.to_owned(), unit);
            }
        }
    }

    /// Returns the ranges whose raw and curated rows differ: [`crate::Search`] finds the
    /// rows.
    pub fn suspects(&self) -> impl Iterator<Item = &OffsetRange> {
        self.ranges.iter().filter(|range| range.is_suspect())
    }

    /// Returns the rows of the parts.
    pub fn ticks(&self) -> u64 {
        self.ticks
    }

    /// Returns the rows of the parts whose raw objects do not exist any more.
    pub fn not_compared(&self) -> u64 {
        let gone = self.ranges.iter().filter(|range| range.is_gone());
        gone.map(|range| range.curated.rows).sum()
    }
}

fn place(row: &Row<'_>) -> Place {
    let symbol = row.symbol.to_owned();
    (symbol, row.event_time, row.partition, row.offset)
}

fn is_after((symbol, time, partition, offset): &Place, row: &Row<'_>) -> bool {
    let before = (symbol.as_bytes(), *time, *partition, *offset);
    before
        <= (
            row.symbol.as_bytes(),
            row.event_time,
            row.partition,
            row.offset,
        )
}

pub(crate) fn named(row: &Row<'_>) -> String {
    format!(
        "the row of partition {}, offset {}",
        row.partition, row.offset
    )
}

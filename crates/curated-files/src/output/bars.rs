use bytes::Bytes;
use lake_layout::{Column, ColumnType};
use parquet::data_type::{ByteArrayType, DoubleType, Int32Type, Int64Type};

use super::bar::{Bar, Coordinate};
use super::parquet::{EncodeError, File, GROUP_ROWS, Group};
use crate::order::Order;
use crate::rows::Rows;

const SORTED_BY: [&str; 2] = ["symbol", "minute"];
const DELTAS: [&str; 5] = [
    "minute",
    "first_time",
    "first_offset",
    "last_time",
    "last_offset",
];

/// The columns of a file of bars. The coordinates of the first and the last tick decide
/// which open and close hold when bars of several hours or versions are merged.
pub const BAR_COLUMNS: [Column; 16] = [
    Column::new("symbol", ColumnType::String, true),
    Column::new("minute", ColumnType::Timestamp, true),
    Column::new("open", ColumnType::Double, true),
    Column::new("high", ColumnType::Double, true),
    Column::new("low", ColumnType::Double, true),
    Column::new("close", ColumnType::Double, true),
    Column::new("volume", ColumnType::Double, false),
    Column::new("turnover", ColumnType::Double, false),
    Column::new("vwap", ColumnType::Double, false),
    Column::new("ticks", ColumnType::Bigint, true),
    Column::new("first_time", ColumnType::Timestamp, true),
    Column::new("first_partition", ColumnType::Int, true),
    Column::new("first_offset", ColumnType::Bigint, true),
    Column::new("last_time", ColumnType::Timestamp, true),
    Column::new("last_partition", ColumnType::Int, true),
    Column::new("last_offset", ColumnType::Bigint, true),
];

/// Writes the bars, and returns how many there are.
pub(crate) fn bars(rows: &Rows, order: &Order) -> Result<(Bytes, u64), EncodeError> {
    let symbols = rows.symbols.texts();
    let mut file = File::begin("bar", &BAR_COLUMNS, &SORTED_BY, &DELTAS, symbols.len())?;
    let mut all = Bar::all(rows, order);
    let mut count = 0;
    let mut bars: Vec<Bar> = Vec::new();
    loop {
        bars.clear();
        bars.extend(all.by_ref().take(GROUP_ROWS));
        if bars.is_empty() {
            return Ok((file.finish()?, count));
        }
        count += bars.len() as u64;
        let piece = || std::iter::once(bars.iter());
        let mut group = file.group()?;
        // In the order of BAR_COLUMNS.
        group.required::<ByteArrayType, _>(
            piece().map(|bars| bars.map(|bar| symbols[bar.symbol as usize].clone())),
        )?;
        group.required::<Int64Type, _>(piece().map(|bars| bars.map(|bar| bar.minute)))?;
        for price in [
            |bar: &Bar| bar.open,
            |bar: &Bar| bar.high,
            |bar: &Bar| bar.low,
            |bar: &Bar| bar.close,
        ] {
            group.required::<DoubleType, _>(piece().map(|bars| bars.map(price)))?;
        }
        for sum in [
            |bar: &Bar| bar.volume.value(),
            |bar: &Bar| bar.turnover.value(),
            |bar: &Bar| bar.vwap(),
        ] {
            group.optional::<DoubleType, _>(piece().map(|bars| bars.map(sum)))?;
        }
        group.required::<Int64Type, _>(piece().map(|bars| bars.map(|bar| bar.ticks)))?;
        coordinates(&mut group, &bars, |bar| bar.first)?;
        coordinates(&mut group, &bars, |bar| bar.last)?;
        group.close()?;
    }
}

fn coordinates(
    group: &mut Group<'_>,
    bars: &[Bar],
    of: fn(&Bar) -> Coordinate,
) -> Result<(), EncodeError> {
    let piece = || std::iter::once(bars.iter().map(of));
    group.required::<Int64Type, _>(piece().map(|of| of.map(|of| of.time.micros())))?;
    group.required::<Int32Type, _>(piece().map(|of| of.map(|of| of.partition)))?;
    group.required::<Int64Type, _>(piece().map(|of| of.map(|of| of.offset)))
}

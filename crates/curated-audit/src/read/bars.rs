use bytes::Bytes;
use lake_layout::{Column, ColumnType};

use super::parquet::{self, Value};
use super::read_error::ReadError;

/// The columns of the table `bars_1m`, as readers have been promised them.
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

/// Event time, Kafka partition and offset: the order of a symbol's ticks.
pub(crate) type Coordinate = (i64, i64, i64);

/// A row of the table `bars_1m`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BarRow<'a> {
    pub(crate) symbol: &'a str,
    /// In microseconds since 1970.
    pub(crate) minute: i64,
    /// Open, high, low, close.
    pub(crate) prices: [f64; 4],
    pub(crate) volume: Option<f64>,
    pub(crate) turnover: Option<f64>,
    pub(crate) vwap: Option<f64>,
    pub(crate) ticks: i64,
    pub(crate) first: Coordinate,
    pub(crate) last: Coordinate,
}

/// Calls `take` with each bar of a file.
pub(crate) fn for_each_bar(
    body: Bytes,
    take: &mut dyn FnMut(&BarRow<'_>),
) -> Result<(), ReadError> {
    let read = |values: &[Value<'_>]| {
        let lacking = |place: usize| ReadError::Lacking(BAR_COLUMNS[place].name);
        let double = |place: usize| values[place].double().ok_or_else(|| lacking(place));
        let whole = |place: usize| values[place].whole().ok_or_else(|| lacking(place));
        take(&BarRow {
            symbol: values[0].text().ok_or_else(|| lacking(0))?,
            minute: whole(1)?,
            prices: [double(2)?, double(3)?, double(4)?, double(5)?],
            volume: values[6].double(),
            turnover: values[7].double(),
            vwap: values[8].double(),
            ticks: whole(9)?,
            first: (whole(10)?, whole(11)?, whole(12)?),
            last: (whole(13)?, whole(14)?, whole(15)?),
        });
        Ok(())
    };
    parquet::for_each(body, &BAR_COLUMNS, read)
}

use bytes::Bytes;
use lake_layout::COLUMNS;

use super::parquet;
use super::read_error::ReadError;

/// A row of the table `ticks` or `curated_ticks`, in the order of its columns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row<'a> {
    /// The symbol.
    pub symbol: &'a str,
    /// The event time in microseconds since 1970.
    pub event_time: i64,
    /// The price.
    pub price: f64,
    /// Volume, open, high, low and close.
    pub numbers: [Option<f64>; 5],
    /// The fields that a tick does not define, as one JSON object.
    pub extra: Option<&'a str>,
    /// The Kafka partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    /// The Kafka timestamp in microseconds since 1970.
    pub kafka_timestamp: Option<i64>,
}

pub(super) fn for_each_of_parquet(
    body: Bytes,
    take: &mut dyn FnMut(&Row<'_>),
) -> Result<(), ReadError> {
    parquet::for_each(body, &COLUMNS, |values| {
        let lacking = |place: usize| ReadError::Lacking(COLUMNS[place].name);
        let [
            symbol,
            event_time,
            price,
            numbers @ ..,
            extra,
            partition,
            offset,
            timestamp,
        ] = values
        else {
            return Err(lacking(0));
        };
        let mut optional = [None; 5];
        for (number, value) in optional.iter_mut().zip(numbers) {
            *number = value.double();
        }
        let partition = partition.whole();
        take(&Row {
            symbol: symbol.text().ok_or_else(|| lacking(0))?,
            event_time: event_time.whole().ok_or_else(|| lacking(1))?,
            price: price.double().ok_or_else(|| lacking(2))?,
            numbers: optional,
            extra: extra.text().filter(|extra| !extra.is_empty()),
            partition: partition
                .and_then(|partition| partition.try_into().ok())
                .ok_or_else(|| lacking(9))?,
            offset: offset.whole().ok_or_else(|| lacking(10))?,
            kafka_timestamp: timestamp.whole(),
        });
        Ok(())
    })
}

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::lake_text::micros;
use super::lines;
use super::read_error::ReadError;
use super::row::Row;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    event_time: &'a str,
    #[serde(borrow)]
    price: &'a RawValue,
    #[serde(borrow)]
    volume: Option<&'a RawValue>,
    #[serde(borrow)]
    open: Option<&'a RawValue>,
    #[serde(borrow)]
    high: Option<&'a RawValue>,
    #[serde(borrow)]
    low: Option<&'a RawValue>,
    #[serde(borrow)]
    close: Option<&'a RawValue>,
    #[serde(borrow)]
    extra: Option<Cow<'a, str>>,
    kafka_partition: i32,
    kafka_offset: i64,
    kafka_timestamp: Option<&'a str>,
}

pub(super) fn for_each(body: Bytes, take: &mut dyn FnMut(&Row<'_>)) -> Result<(), ReadError> {
    lines::for_each(body, |line| {
        let line: Line<'_> = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let mut numbers = [None; 5];
        let optional = [line.volume, line.open, line.high, line.low, line.close];
        for (number, value) in numbers.iter_mut().zip(optional) {
            *number = value.map(double).transpose()?;
        }
        take(&Row {
            symbol: &line.symbol,
            event_time: micros(line.event_time)?,
            price: double(line.price)?,
            numbers,
            extra: line.extra.as_deref(),
            partition: line.kafka_partition,
            offset: line.kafka_offset,
            kafka_timestamp: line.kafka_timestamp.map(micros).transpose()?,
        });
        Ok(())
    })
}

/// Returns the double that the digits say.
fn double(number: &RawValue) -> Result<f64, String> {
    let text = number.get();
    text.parse()
        .map_err(|_| format!("got {text}, wanted a number"))
}

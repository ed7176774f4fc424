use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::lake_text::LakeText;
use super::lines;
use crate::input_error::{InputError, NUMBER};
use crate::rows::{Row, Rows};

/// A line: every column, `null` included, and nothing else.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    #[serde(borrow)]
    event_time: Cow<'a, str>,
    price: Number,
    // Without a function of its own, an absent field would count as null.
    #[serde(deserialize_with = "Option::deserialize")]
    volume: Option<Number>,
    #[serde(deserialize_with = "Option::deserialize")]
    open: Option<Number>,
    #[serde(deserialize_with = "Option::deserialize")]
    high: Option<Number>,
    #[serde(deserialize_with = "Option::deserialize")]
    low: Option<Number>,
    #[serde(deserialize_with = "Option::deserialize")]
    close: Option<Number>,
    #[serde(borrow, deserialize_with = "Option::deserialize")]
    extra: Option<Cow<'a, str>>,
    kafka_partition: i32,
    kafka_offset: i64,
    #[serde(borrow, deserialize_with = "Option::deserialize")]
    kafka_timestamp: Option<Cow<'a, str>>,
}

/// A number as its digits say it: serde_json's own parser may be wrong in the last bit.
struct Number(f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&RawValue>::deserialize(deserializer)?.get();
        let number = text.parse().ok().filter(|number: &f64| number.is_finite());
        number
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom(format_args!("got {text}, wanted {NUMBER}")))
    }
}

/// Reads one JSON object per line.
pub(super) fn read(body: Bytes, rows: &mut Rows) -> Result<(), InputError> {
    let mut times = LakeText::default();
    lines::for_each(body, |line| {
        let line: Line<'_> = serde_json::from_str(line).map_err(|error| InputError::Columns {
            got: error.to_string(),
            wanted: "a JSON object with every column of a tick".to_owned(),
        })?;
        let Some(symbol) = rows.symbols.number(line.symbol.as_bytes())? else {
            return Ok(());
        };
        let optional = [line.volume, line.open, line.high, line.low, line.close];
        let kafka_timestamp = line.kafka_timestamp.as_deref();
        let row = Row {
            symbol,
            event_time: times.read("event_time", &line.event_time)?,
            price: line.price.0,
            optional: optional.map(|number| number.map(|Number(number)| number)),
            extra: line.extra.as_deref().unwrap_or_default(),
            partition: line.kafka_partition,
            offset: line.kafka_offset,
            kafka_timestamp: kafka_timestamp
                .map(|text| times.read("kafka_timestamp", text))
                .transpose()?,
        };
        rows.push(&row)
    })
}

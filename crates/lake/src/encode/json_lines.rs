use std::fmt::Write as _;

use serde_json::Value;

use crate::Row;

/// One object per line with every column, `null` included: readers that infer a schema then see the same columns in every file.
pub(super) fn encode(partition: i32, rows: &[Row]) -> String {
    let mut lines = String::with_capacity(rows.len() * 256);
    for row in rows {
        let tick = &row.tick;
        let number = |value: Option<f64>| value.map_or(Value::Null, Value::from);
        // Writing to a String cannot fail.
        let _ = writeln!(
            lines,
            r#"{{"symbol":{},"event_time":"{}","price":{},"volume":{},"open":{},"high":{},"low":{},"close":{},"extra":{},"kafka_partition":{partition},"kafka_offset":{},"kafka_timestamp":{}}}"#,
            Value::from(tick.symbol.as_str()),
            tick.event_time.to_lake_text(),
            Value::from(tick.price),
            number(tick.volume),
            number(tick.open),
            number(tick.high),
            number(tick.low),
            number(tick.close),
            tick.extra.as_deref().map_or(Value::Null, Value::from),
            row.offset,
            row.kafka_timestamp.map_or(Value::Null, |time| time.to_lake_text().into()),
        );
    }
    lines
}

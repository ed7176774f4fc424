use std::fmt::Write as _;

use serde_json::Value;

use crate::rows::Rows;

/// One object per line with every column, `null` included: readers that infer a schema then see the same columns in every file.
pub(super) fn encode(partition: i32, rows: &Rows) -> String {
    let mut lines = String::with_capacity(rows.len() * 256);
    for row in 0..rows.len() {
        let [volume, open, high, low, close] = rows.optional_of(row);
        let number = |value: Option<f64>| value.map_or(Value::Null, Value::from);
        // Writing to a String cannot fail.
        let _ = writeln!(
            lines,
            r#"{{"symbol":{},"event_time":"{}","price":{},"volume":{},"open":{},"high":{},"low":{},"close":{},"extra":{},"kafka_partition":{partition},"kafka_offset":{},"kafka_timestamp":{}}}"#,
            Value::from(rows.symbol.get(row)),
            rows.event_time[row].to_lake_text(),
            Value::from(rows.price[row]),
            number(volume),
            number(open),
            number(high),
            number(low),
            number(close),
            rows.extra_of(row).map_or(Value::Null, Value::from),
            rows.offset[row],
            rows.kafka_timestamp_of(row).map_or(Value::Null, |time| time.to_lake_text().into()),
        );
    }
    lines
}

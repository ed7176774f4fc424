use std::fmt::Write as _;

use serde_json::Value;

use crate::COLUMNS;
use crate::rows::Rows;

/// Tab-delimited text with a header line; an empty field is no value. Nothing is escaped because nothing needs to be: symbols
/// have no control characters and JSON text escapes its own.
pub(super) fn encode(partition: i32, rows: &Rows) -> String {
    let mut lines = COLUMNS.map(|column| column.name).join("\t") + "\n";
    lines.reserve(rows.len() * 160);
    for row in 0..rows.len() {
        let [volume, open, high, low, close] = rows.optional_of(row);
        let number = |value: Option<f64>| value.map_or_else(String::new, |value| Value::from(value).to_string());
        // Writing to a String cannot fail.
        let _ = writeln!(
            lines,
            "{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{partition}\t{}\t{}",
            rows.symbol.get(row),
            rows.event_time[row].to_lake_text(),
            number(Some(rows.price[row])),
            number(volume),
            number(open),
            number(high),
            number(low),
            number(close),
            rows.extra_of(row).unwrap_or_default(),
            rows.offset[row],
            rows.kafka_timestamp_of(row).map(|time| time.to_lake_text()).unwrap_or_default(),
        );
    }
    lines
}

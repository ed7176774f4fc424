use std::fmt::Write as _;

use serde_json::Value;

use crate::{COLUMNS, Row};

/// Tab-delimited text with a header line; an empty field is no value. Nothing is escaped because nothing needs to be: symbols
/// have no control characters and JSON text escapes its own.
pub(super) fn encode(partition: i32, rows: &[Row]) -> String {
    let mut lines = COLUMNS.map(|column| column.name).join("\t") + "\n";
    lines.reserve(rows.len() * 160);
    for row in rows {
        let tick = &row.tick;
        let number = |value: Option<f64>| value.map_or_else(String::new, |value| Value::from(value).to_string());
        // Writing to a String cannot fail.
        let _ = writeln!(
            lines,
            "{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{partition}\t{}\t{}",
            tick.symbol,
            tick.event_time.to_lake_text(),
            number(Some(tick.price)),
            number(tick.volume),
            number(tick.open),
            number(tick.high),
            number(tick.low),
            number(tick.close),
            tick.extra.as_deref().unwrap_or_default(),
            row.offset,
            row.kafka_timestamp.map(|time| time.to_lake_text()).unwrap_or_default(),
        );
    }
    lines
}

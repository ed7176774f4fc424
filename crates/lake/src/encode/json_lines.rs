use std::io::Write;

use super::error::EncodeError;
use super::lake_text::LakeText;
use super::lines::{PIECE_BYTES, number};
use crate::rows::Rows;

const OPTIONAL: [&str; 5] = ["volume", "open", "high", "low", "close"];

/// One object per line with every column, `null` included: readers that infer a schema
/// then see the same columns in every file.
pub(super) fn encode(partition: i32, rows: &Rows, mut out: impl Write) -> Result<(), EncodeError> {
    let mut lines = Vec::with_capacity(2 * PIECE_BYTES);
    let mut times = LakeText::default();
    for (block, row) in rows
        .blocks()
        .iter()
        .flat_map(|block| (0..block.len()).map(move |row| (block, row)))
    {
        lines.extend_from_slice(b"{\"symbol\":");
        serde_json::to_writer(&mut lines, block.symbol.get(row))?;
        lines.extend_from_slice(b",\"event_time\":\"");
        times.write(block.event_time[row], &mut lines);
        lines.extend_from_slice(b"\",\"price\":");
        number(&mut lines, block.price[row])?;
        for (name, value) in OPTIONAL.iter().zip(block.optional_of(row)) {
            lines.extend_from_slice(b",\"");
            lines.extend_from_slice(name.as_bytes());
            lines.extend_from_slice(b"\":");
            match value {
                Some(value) => number(&mut lines, value)?,
                None => lines.extend_from_slice(b"null"),
            }
        }
        lines.extend_from_slice(b",\"extra\":");
        serde_json::to_writer(&mut lines, &block.extra_of(row))?;
        write!(
            lines,
            ",\"kafka_partition\":{partition},\"kafka_offset\":{},\"kafka_timestamp\":",
            block.offset[row]
        )?;
        match block.kafka_timestamp_of(row) {
            Some(time) => {
                lines.push(b'"');
                times.write(time, &mut lines);
                lines.push(b'"');
            }
            None => lines.extend_from_slice(b"null"),
        }
        lines.extend_from_slice(b"}\n");
        if lines.len() >= PIECE_BYTES {
            out.write_all(&lines)?;
            lines.clear();
        }
    }
    Ok(out.write_all(&lines)?)
}

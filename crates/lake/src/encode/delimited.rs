use std::io::Write;

use super::error::EncodeError;
use super::lake_text::LakeText;
use super::lines::{PIECE_BYTES, number};
use crate::COLUMNS;
use crate::rows::Rows;

/// Writes the header line.
pub(super) fn header(mut out: impl Write) -> Result<(), EncodeError> {
    Ok(writeln!(
        out,
        "{}",
        COLUMNS.map(|column| column.name).join("\t")
    )?)
}

/// Tab-delimited text below a header line; an empty field is no value. Nothing is escaped
/// because nothing needs to be: symbols have no control characters, and `extra` is JSON
/// on one line, which escapes its own.
pub(super) fn encode(partition: i32, rows: &Rows, mut out: impl Write) -> Result<(), EncodeError> {
    let mut lines = Vec::with_capacity(2 * PIECE_BYTES);
    let mut times = LakeText::default();
    for (block, row) in rows
        .blocks()
        .iter()
        .flat_map(|block| (0..block.len()).map(move |row| (block, row)))
    {
        lines.extend_from_slice(block.symbol.get(row).as_bytes());
        lines.push(b'\t');
        times.write(block.event_time[row], &mut lines);
        lines.push(b'\t');
        number(&mut lines, block.price[row])?;
        for value in block.optional_of(row) {
            lines.push(b'\t');
            if let Some(value) = value {
                number(&mut lines, value)?;
            }
        }
        lines.push(b'\t');
        lines.extend_from_slice(block.extra_of(row).unwrap_or_default().as_bytes());
        write!(lines, "\t{partition}\t{}\t", block.offset[row])?;
        if let Some(time) = block.kafka_timestamp_of(row) {
            times.write(time, &mut lines);
        }
        lines.push(b'\n');
        if lines.len() >= PIECE_BYTES {
            out.write_all(&lines)?;
            lines.clear();
        }
    }
    Ok(out.write_all(&lines)?)
}

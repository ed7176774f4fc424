//! The words of figures and times in a mail.

use std::fmt::Write as _;

use bytesize::ByteSize;
use tick::EventTime;
use wording::count;

use crate::announced::Announced;

pub(super) fn line(body: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = writeln!(body, "{text}");
}

/// Rows of all entries, or `None` if one is unknown.
pub(super) fn rows(entries: &[&Announced]) -> Option<u64> {
    entries.iter().try_fold(0_u64, |sum, entry| {
        Some(sum.saturating_add(entry.metadata.as_ref()?.rows))
    })
}

pub(super) fn ticks(entries: &[&Announced]) -> String {
    rows(entries).map_or_else(|| "ticks unknown".to_owned(), |rows| count(rows, "tick"))
}

pub(super) fn size(entries: &[&Announced]) -> String {
    ByteSize::b(
        entries
            .iter()
            .filter_map(|entry| entry.created.size)
            .fold(0, u64::saturating_add),
    )
    .to_string()
}

/// A date alone if the time of day is midnight, as in daily data; seconds otherwise.
pub(super) fn moment(time: EventTime) -> String {
    let text = time.to_lake_text();
    if text.ends_with("00:00:00.000000") {
        text[..10].to_owned()
    } else {
        text[..19].to_owned()
    }
}

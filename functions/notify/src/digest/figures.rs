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

/// A price with all its digits; one that would be too long for a line has an exponent.
pub(super) fn price(price: f64) -> String {
    match price.abs() {
        0.0 => "0".to_owned(),
        size if (1e-6..1e15).contains(&size) => price.to_string(),
        _ => format!("{price:e}"),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_has_all_its_digits_and_fits_a_line() {
        for (number, wanted) in [
            (-0.0, "0"),
            (229.87, "229.87"),
            (-0.25, "-0.25"),
            (999_999_999_999_999.0, "999999999999999"),
            (1e15, "1e15"),
            (0.000001, "0.000001"),
            (3e-7, "3e-7"),
            (f64::MIN, "-1.7976931348623157e308"),
        ] {
            assert_eq!(price(number), wanted);
        }
    }
}

//! The forms of a time in CSV files.

use jiff::civil::Time;
use jiff::fmt::temporal::Pieces;
use jiff::tz::Offset;

use crate::EventTime;

/// The order of day and month in a date such as `08/01/2010`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateOrder {
    /// Day, month, year.
    Dmy,
    /// Month, day, year.
    Mdy,
}

/// The evidence of a file's dates for their [`DateOrder`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DateOrderEvidence {
    /// Number of dates that are valid only as day, month, year.
    pub dmy: u64,
    /// Number of dates that are valid only as month, day, year.
    pub mdy: u64,
    /// Number of dates that are valid in both orders.
    pub either: u64,
}

impl EventTime {
    /// The accepted forms in CSV, for error messages.
    pub const WANTED_CSV: &str = "a date from 1970 to 9999 such as 2010-01-08, \
         2010-01-08 09:30:00 (UTC), 2010-01-08T09:30:00+08:00 (without a zone's name), \
         08/01/2010 (with --date-order), or epoch milliseconds, not seconds (1262943000000)";

    /// Returns the time in one of the CSV forms. Text without an offset is UTC. Dates
    /// with slashes need `order`.
    pub fn parse_csv(text: &str, order: Option<DateOrder>) -> Option<Self> {
        let text = text.trim();
        if (11..=15).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()) {
            return Self::parse_millis(text);
        }
        match Slashed::parse(text) {
            Some(slashed) => slashed.resolve(order?),
            None => iso(text),
        }
    }
}

/// Returns the time of `YYYY-MM-DD`, alone or before a blank or `T` and a time of day,
/// which may have an offset.
fn iso(text: &str) -> Option<EventTime> {
    let shape = text.as_bytes();
    let is_dated = shape.len() >= 10
        && shape[..4].iter().all(u8::is_ascii_digit)
        && shape[4] == b'-'
        && shape[7] == b'-';
    let is_timed = shape.len() >= 16 && matches!(shape[10], b' ' | b'T');
    // A zone's name may contradict the offset beside it, and each machine knows other
    // zones.
    if !is_dated || !(is_timed || shape.len() == 10) || text.contains('[') {
        return None;
    }
    // jiff's parsers of civil times ignore an offset; its pieces have it.
    let pieces = Pieces::parse(text).ok()?;
    let civil = pieces
        .date()
        .to_datetime(pieces.time().unwrap_or(Time::midnight()));
    let offset = pieces.to_numeric_offset().unwrap_or(Offset::UTC);
    EventTime::from_micros(offset.to_timestamp(civil).ok()?.as_microsecond())
}

/// A date such as `08/01/2010` or `08/01/2010 09:30:00` before its order is known.
struct Slashed<'a> {
    a: &'a str,
    b: &'a str,
    year: &'a str,
    time: &'a str,
}

impl<'a> Slashed<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (date, time) = text.split_once([' ', 'T']).unwrap_or((text, "00:00"));
        let mut parts = date.split('/');
        let a = parts.next()?;
        let b = parts.next()?;
        let year = parts.next()?;
        let digits = |text: &str, len: std::ops::RangeInclusive<usize>| {
            len.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
        };
        let is_date =
            parts.next().is_none() && digits(a, 1..=2) && digits(b, 1..=2) && digits(year, 4..=4);
        is_date.then_some(Self { a, b, year, time })
    }

    fn resolve(&self, order: DateOrder) -> Option<EventTime> {
        let (day, month) = match order {
            DateOrder::Dmy => (self.a, self.b),
            DateOrder::Mdy => (self.b, self.a),
        };
        // Spreadsheets write 9:30 for 09:30.
        let zero = if self.time.as_bytes().get(1) == Some(&b':') {
            "0"
        } else {
            ""
        };
        iso(&format!(
            "{}-{month:0>2}-{day:0>2}T{zero}{}",
            self.year, self.time
        ))
    }
}

impl DateOrderEvidence {
    /// Counts one date. Text that is not a date with slashes does not count.
    pub fn see(&mut self, text: &str) {
        let Some(slashed) = Slashed::parse(text.trim()) else {
            return;
        };
        match (
            slashed.resolve(DateOrder::Dmy),
            slashed.resolve(DateOrder::Mdy),
        ) {
            (Some(_), Some(_)) => self.either += 1,
            (Some(_), None) => self.dmy += 1,
            (None, Some(_)) => self.mdy += 1,
            (None, None) => {}
        }
    }

    /// Returns true once a date with slashes has been seen.
    pub fn has_slashes(&self) -> bool {
        self.dmy + self.mdy + self.either > 0
    }

    /// Returns the order that all dates agree on, or `None` if it is not known.
    pub fn order(&self) -> Option<DateOrder> {
        match (self.dmy, self.mdy) {
            (1.., 0) => Some(DateOrder::Dmy),
            (0, 1..) => Some(DateOrder::Mdy),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn csv(text: &str) -> Option<String> {
        EventTime::parse_csv(text, Some(DateOrder::Dmy)).map(|time| time.to_string())
    }

    #[test]
    fn csv_forms_of_the_design_are_read() {
        assert_eq!(csv("2010-01-08").as_deref(), Some("2010-01-08T00:00:00Z"));
        assert_eq!(
            csv("2010-01-08 09:30:00").as_deref(),
            Some("2010-01-08T09:30:00Z")
        );
        assert_eq!(
            csv("2010-01-08T09:30:00+08:00").as_deref(),
            Some("2010-01-08T01:30:00Z")
        );
        assert_eq!(
            csv("2010-01-08T09:30:00.123456789Z").as_deref(),
            Some("2010-01-08T09:30:00.123456Z")
        );
        assert_eq!(csv("08/01/2010").as_deref(), Some("2010-01-08T00:00:00Z"));
        assert_eq!(
            csv("8/1/2010 9:30").as_deref(),
            Some("2010-01-08T09:30:00Z")
        );
        assert_eq!(
            csv("1262941800000").as_deref(),
            Some("2010-01-08T09:10:00Z")
        );
    }

    #[test]
    fn offsets_of_short_times_and_of_dates_with_slashes_are_not_ignored() {
        assert_eq!(
            csv("2010-01-08T09:30+08").as_deref(),
            Some("2010-01-08T01:30:00Z")
        );
        assert_eq!(
            csv("08/01/2010 09:30:00+08:00").as_deref(),
            Some("2010-01-08T01:30:00Z")
        );
        assert_eq!(
            csv("8/1/2010 9:30-0500").as_deref(),
            Some("2010-01-08T14:30:00Z")
        );
        assert_eq!(csv("2010-01-08T09:30:00+08:00[Asia/Hong_Kong]"), None);
        assert_eq!(csv("08/01/2010 09:30:00[Asia/Hong_Kong]"), None);
    }

    #[test]
    fn text_that_is_not_a_date_in_range_is_refused() {
        for text in [
            "",
            "null",
            "2010-13-01",
            "2010-02-30",
            "08/01/10",
            "20100108",
            "1969-12-31",
            "10000-01-01",
            "32/01/2010",
            "1/2/3/2010",
            "2010-W01-5",
            "1970-01-01T00:00:00+00:01",
            "1262943000",
            "09999999999",
        ] {
            assert_eq!(csv(text), None, "{text:?}");
        }
        assert_eq!(
            EventTime::parse_csv("08/01/2010", None),
            None,
            "an order is never guessed"
        );
    }

    #[test]
    fn only_evidence_decides_the_date_order() {
        let mdy = EventTime::parse_csv("08/01/2010 9:30", Some(DateOrder::Mdy));
        assert_eq!(
            mdy.map(|time| time.to_string()).as_deref(),
            Some("2010-08-01T09:30:00Z")
        );
        let order = |dates: &[&str]| {
            let mut evidence = DateOrderEvidence::default();
            dates.iter().for_each(|date| evidence.see(date));
            evidence.order()
        };
        assert_eq!(order(&["08/01/2010", "13/01/2010"]), Some(DateOrder::Dmy));
        assert_eq!(order(&["08/01/2010", "01/13/2010"]), Some(DateOrder::Mdy));
        assert_eq!(order(&["08/01/2010", "09/01/2010"]), None);
        assert_eq!(order(&["13/01/2010", "01/13/2010"]), None);
    }

    /// Returns the number of days from 1970-01-01 to a date.
    fn days(year: i64, month: i64, day: i64) -> i64 {
        let leaps = |year: i64| year / 4 - year / 100 + year / 400;
        let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let before = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334][month as usize - 1]
            + i64::from(is_leap && month > 2);
        365 * (year - 1970) + leaps(year - 1) - leaps(1969) + before + day - 1
    }

    /// Returns a time of day with its offset and a zone's name after it.
    fn clock(
        hour: i64,
        minute: i64,
        second: Option<i64>,
        offset: Option<(i64, i64, usize)>,
        zone: &str,
    ) -> String {
        let second = second
            .map(|second| format!(":{second:02}"))
            .unwrap_or_default();
        let offset = offset.map(|(hours, minutes, form)| {
            let sign = if hours < 0 { '-' } else { '+' };
            let hours = hours.abs();
            match form {
                0 if minutes == 0 => format!("{sign}{hours:02}"),
                1 => format!("{sign}{hours:02}{minutes:02}"),
                _ => format!("{sign}{hours:02}:{minutes:02}"),
            }
        });
        format!(
            "{hour:02}:{minute:02}{second}{}{zone}",
            offset.unwrap_or_default()
        )
    }

    proptest! {
        #[test]
        fn a_csv_time_never_lands_at_another_instant_than_the_one_it_names(
            (year, month, day) in (1971i64..9999, 1i64..=12, 1i64..=28),
            (hour, minute) in (0i64..24, 0i64..60),
            second in proptest::option::of(0i64..60),
            offset in proptest::option::of((-12i64..=14, 0i64..60, 0usize..3)),
            separator in "[ T]",
            zone in "(|\\[Asia/Hong_Kong\\]|\\[\\+08:00\\])",
            slashed: bool,
        ) {
            let date = if slashed {
                format!("{day}/{month}/{year}")
            } else {
                format!("{year}-{month:02}-{day:02}")
            };
            let text = format!("{date}{separator}{}", clock(hour, minute, second, offset, &zone));
            let ahead = offset.map_or(0, |(hours, minutes, _)| {
                60 * hours + if hours < 0 { -minutes } else { minutes }
            });
            let seconds = 86_400 * days(year, month, day)
                + 3_600 * hour
                + 60 * (minute - ahead)
                + second.unwrap_or(0);
            let read = EventTime::parse_csv(&text, Some(DateOrder::Dmy)).map(EventTime::micros);
            prop_assert_eq!(read, zone.is_empty().then_some(1_000_000 * seconds), "{}", text);
        }
    }
}

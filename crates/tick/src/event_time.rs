use std::fmt;

use jiff::civil::{Date, DateTime, Time};
use jiff::{Timestamp, tz::TimeZone};

/// First moment after the accepted range, 9999-12-30T22:00:00Z, in microseconds since 1970: the last moment whose date is written with four digits in
/// every time zone, and `jiff`'s limit.
const END: i64 = 253_402_207_200_000_000;

/// The moment a tick belongs to: microseconds since 1970 in UTC, from 1970 up to the last days of 9999.
///
/// Finer digits are cut. Its text form is RFC 3339, its lake form (`YYYY-MM-DD HH:MM:SS.ffffff`) what Athena's text SerDes read as
/// `timestamp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventTime(i64);

/// Which of the two leading numbers of a date such as `08/01/2010` is the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateOrder {
    /// Day, month, year.
    Dmy,
    /// Month, day, year.
    Mdy,
}

/// What the dates of a file say about their [`DateOrder`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DateOrderEvidence {
    /// Dates that read only as day, month, year.
    pub dmy: u64,
    /// Dates that read only as month, day, year.
    pub mdy: u64,
    /// Dates that read either way.
    pub either: u64,
}

impl EventTime {
    /// What an event time has to be in JSON, for error messages.
    pub const WANTED_JSON: &str = "RFC 3339 with a zone (2010-01-08T09:30:00Z) or epoch milliseconds, from 1970 to 9999";
    /// What an event time has to be in CSV, for error messages.
    pub const WANTED_CSV: &str =
        "a date from 1970 to 9999 such as 2010-01-08, 2010-01-08 09:30:00, 2010-01-08T09:30:00Z or 08/01/2010 (with --date-order)";

    /// Returns the event time `micros` microseconds after 1970, or `None` outside 1970 to 9999.
    pub fn from_micros(micros: i64) -> Option<Self> {
        (0..END).contains(&micros).then_some(Self(micros))
    }

    /// Returns the event time `millis` milliseconds after 1970, or `None` outside 1970 to 9999.
    pub fn from_millis(millis: i64) -> Option<Self> {
        Self::from_micros(millis.checked_mul(1000)?)
    }

    /// Returns the current time.
    pub fn now() -> Self {
        Self(Timestamp::now().as_microsecond().clamp(0, END - 1))
    }

    /// Returns microseconds since 1970.
    pub fn micros(self) -> i64 {
        self.0
    }

    /// Returns the time that RFC 3339 text with a zone means.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        // RFC 3339 is stricter than jiff: full date, `T` or a blank, full time; no week dates, no zone names.
        let shape = text.as_bytes();
        let plain = shape.len() >= 20 && shape[4] == b'-' && shape[7] == b'-' && shape[13] == b':' && !text.contains('[');
        if !plain {
            return None;
        }
        Self::from_micros(text.parse::<Timestamp>().ok()?.as_microsecond())
    }

    /// Returns the time that one of the CSV forms means; text without a zone is UTC, `order` is needed for dates with slashes.
    pub fn parse_csv(text: &str, order: Option<DateOrder>) -> Option<Self> {
        let text = text.trim();
        if (11..=15).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()) {
            return Self::from_millis(text.parse().ok()?);
        }
        if let Some(slashed) = Slashed::parse(text) {
            return slashed.resolve(order?);
        }
        if let Some(time) = Self::parse_rfc3339(text) {
            return Some(time);
        }
        if !text.bytes().take(4).all(|b| b.is_ascii_digit()) || text.as_bytes().get(4) != Some(&b'-') {
            return None;
        }
        let civil = match text.len() {
            10 => text.parse::<Date>().ok()?.to_datetime(Time::midnight()),
            16.. if matches!(text.as_bytes()[10], b' ' | b'T') => text.parse::<DateTime>().ok()?,
            _ => return None,
        };
        Self::from_civil(civil)
    }

    fn from_civil(civil: DateTime) -> Option<Self> {
        Self::from_micros(civil.to_zoned(TimeZone::UTC).ok()?.timestamp().as_microsecond())
    }

    /// Returns the lake's text form, `YYYY-MM-DD HH:MM:SS.ffffff`.
    pub fn to_lake_text(self) -> String {
        self.civil().strftime("%Y-%m-%d %H:%M:%S%.6f").to_string()
    }

    /// Returns the date and time of day in UTC.
    pub fn civil(self) -> DateTime {
        // In range by the type's invariant; the fallback is never taken.
        Timestamp::from_microsecond(self.0).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(TimeZone::UTC).datetime()
    }
}

impl fmt::Display for EventTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}Z", self.civil())
    }
}

/// A date such as `08/01/2010` or `08/01/2010 09:30:00` before its order is known.
struct Slashed {
    a: i8,
    b: i8,
    year: i16,
    time: Time,
}

impl Slashed {
    fn parse(text: &str) -> Option<Self> {
        let (date, time) = text.split_once([' ', 'T']).unwrap_or((text, "00:00"));
        let mut parts = date.split('/');
        let (a, b, year) = (parts.next()?, parts.next()?, parts.next()?);
        let digits =
            |text: &str, len: std::ops::RangeInclusive<usize>| len.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        if parts.next().is_some() || !digits(a, 1..=2) || !digits(b, 1..=2) || !digits(year, 4..=4) {
            return None;
        }
        // Spreadsheets write 9:30 for 09:30.
        let time = if time.as_bytes().get(1) == Some(&b':') { format!("0{time}") } else { time.to_owned() };
        Some(Self { a: a.parse().ok()?, b: b.parse().ok()?, year: year.parse().ok()?, time: time.parse().ok()? })
    }

    fn resolve(&self, order: DateOrder) -> Option<EventTime> {
        let (day, month) = match order {
            DateOrder::Dmy => (self.a, self.b),
            DateOrder::Mdy => (self.b, self.a),
        };
        EventTime::from_civil(Date::new(self.year, month, day).ok()?.to_datetime(self.time))
    }
}

impl DateOrderEvidence {
    /// Counts one date; text that is not a date with slashes says nothing.
    pub fn see(&mut self, text: &str) {
        let Some(slashed) = Slashed::parse(text.trim()) else { return };
        match (slashed.resolve(DateOrder::Dmy), slashed.resolve(DateOrder::Mdy)) {
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

    /// Returns the order that all dates agree on, or `None` where it can't be told.
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
    use super::*;

    fn csv(text: &str) -> Option<String> {
        EventTime::parse_csv(text, Some(DateOrder::Dmy)).map(|time| time.to_string())
    }

    #[test]
    fn csv_forms_of_the_design_are_read_in_utc() {
        assert_eq!(csv("2010-01-08").as_deref(), Some("2010-01-08T00:00:00Z"));
        assert_eq!(csv("2010-01-08 09:30:00").as_deref(), Some("2010-01-08T09:30:00Z"));
        assert_eq!(csv("2010-01-08T09:30:00+08:00").as_deref(), Some("2010-01-08T01:30:00Z"));
        assert_eq!(csv("2010-01-08T09:30:00.123456789Z").as_deref(), Some("2010-01-08T09:30:00.123456Z"));
        assert_eq!(csv("08/01/2010").as_deref(), Some("2010-01-08T00:00:00Z"));
        assert_eq!(csv("8/1/2010 9:30").as_deref(), Some("2010-01-08T09:30:00Z"));
        assert_eq!(csv("1262941800000").as_deref(), Some("2010-01-08T09:10:00Z"));
    }

    #[test]
    fn what_is_not_a_date_in_range_is_refused() {
        for text in
            ["", "null", "2010-13-01", "2010-02-30", "08/01/10", "20100108", "1969-12-31", "10000-01-01", "32/01/2010", "1/2/3/2010"]
        {
            assert_eq!(csv(text), None, "{text:?}");
        }
        assert_eq!(EventTime::parse_csv("08/01/2010", None), None, "an order is never guessed");
        for text in
            ["2010-01-08", "2010-01-08T09:30:00", "2010-01-08T09:30:00[UTC]", "2010-01-08T09:30:00Z[UTC]", "-002010-01-08T09:30:00Z"]
        {
            assert_eq!(EventTime::parse_rfc3339(text), None, "{text:?}");
        }
    }

    #[test]
    fn range_is_1970_to_9999() {
        assert_eq!(EventTime::from_micros(-1), None);
        assert_eq!(EventTime::from_micros(END - 1).map(|t| t.to_string()).as_deref(), Some("9999-12-30T21:59:59.999999Z"));
        assert_eq!(EventTime::from_micros(END), None);
        assert_eq!(EventTime::from_millis(i64::MAX), None);
    }

    #[test]
    fn lake_text_always_has_six_digits() {
        assert_eq!(EventTime(0).to_lake_text(), "1970-01-01 00:00:00.000000");
    }

    #[test]
    fn date_order_is_told_by_evidence_only() {
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
}

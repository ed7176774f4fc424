use std::fmt;

use jiff::civil::DateTime;
use jiff::{Timestamp, tz::TimeZone};

/// First moment after the accepted range, 9999-12-30T22:00:00Z, in microseconds since
/// 1970. From then on the year has more than four digits in some time zones; it is also
/// `jiff`'s limit.
const END_MICROS: i64 = 253_402_207_200_000_000;

/// Numbers that are probably seconds: from 1973 to 5138 as seconds, from the second day
/// of 1970 to 1973 as milliseconds. Market ticks from 1970 to 1973 in milliseconds are
/// far less likely. Smaller numbers are unlikely to be seconds: they would be before
/// March 1973.
const LIKELY_SECONDS: std::ops::Range<i64> = 100_000_000..100_000_000_000;

/// The time of a tick: microseconds since 1970 in UTC, from 1970 up to the last days of
/// 9999.
///
/// Finer digits are cut. Its text form is RFC 3339. Its lake form is `YYYY-MM-DD
/// HH:MM:SS.ffffff`, which Athena's text SerDes read as `timestamp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventTime(i64);

impl EventTime {
    /// The accepted forms in JSON, for error messages.
    pub const WANTED_JSON: &str = "RFC 3339 with a zone (2010-01-08T09:30:00Z) \
         or epoch milliseconds, not seconds (1262943000000), from 1970 to 9999";

    /// Returns the event time `micros` microseconds after 1970, or `None` outside 1970 to
    /// 9999.
    pub fn from_micros(micros: i64) -> Option<Self> {
        (0..END_MICROS).contains(&micros).then_some(Self(micros))
    }

    /// Returns the event time `millis` milliseconds after 1970, or `None` outside 1970 to
    /// 9999.
    pub fn from_millis(millis: i64) -> Option<Self> {
        Self::from_micros(millis.checked_mul(1000)?)
    }

    /// Returns the event time of a number's text, in milliseconds after 1970. Refuses a
    /// number that is more likely a count of seconds.
    pub fn parse_millis(text: &str) -> Option<Self> {
        let millis = text.parse().ok()?;
        if LIKELY_SECONDS.contains(&millis) {
            None
        } else {
            Self::from_millis(millis)
        }
    }

    /// Returns the current time.
    pub fn now() -> Self {
        Self(Timestamp::now().as_microsecond().clamp(0, END_MICROS - 1))
    }

    /// Returns microseconds since 1970.
    pub fn micros(self) -> i64 {
        self.0
    }

    /// Returns the time of RFC 3339 text with a zone.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        // RFC 3339 is stricter than jiff: full date, `T` or a blank, full time, without
        // week dates or zone names.
        let shape = text.as_bytes();
        let plain = shape.len() >= 20
            && shape[4] == b'-'
            && shape[7] == b'-'
            && shape[13] == b':'
            && !text.contains('[');
        if !plain {
            return None;
        }
        Self::from_micros(text.parse::<Timestamp>().ok()?.as_microsecond())
    }

    /// Returns the lake's text form, `YYYY-MM-DD HH:MM:SS.ffffff`.
    pub fn to_lake_text(self) -> String {
        self.civil().strftime("%Y-%m-%d %H:%M:%S%.6f").to_string()
    }

    /// Returns the date and time of day in UTC.
    pub fn civil(self) -> DateTime {
        // In range by the type's invariant; the fallback is never taken.
        Timestamp::from_microsecond(self.0)
            .unwrap_or(Timestamp::UNIX_EPOCH)
            .to_zoned(TimeZone::UTC)
            .datetime()
    }
}

impl fmt::Display for EventTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}Z", self.civil())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_not_rfc_3339_is_refused() {
        for text in [
            "2010-01-08",
            "2010-01-08T09:30:00",
            "2010-01-08T09:30:00[UTC]",
            "2010-01-08T09:30:00Z[UTC]",
            "-002010-01-08T09:30:00Z",
        ] {
            assert_eq!(EventTime::parse_rfc3339(text), None, "{text:?}");
        }
    }

    #[test]
    fn range_is_1970_to_9999() {
        assert_eq!(EventTime::from_micros(-1), None);
        assert_eq!(
            EventTime::from_micros(END_MICROS - 1)
                .map(|t| t.to_string())
                .as_deref(),
            Some("9999-12-30T21:59:59.999999Z")
        );
        assert_eq!(EventTime::from_micros(END_MICROS), None);
        assert_eq!(EventTime::from_millis(i64::MAX), None);
    }

    #[test]
    fn lake_text_always_has_six_digits() {
        assert_eq!(EventTime(0).to_lake_text(), "1970-01-01 00:00:00.000000");
    }

    #[test]
    fn epoch_seconds_are_not_taken_for_milliseconds() {
        let read = |text: &str| EventTime::parse_millis(text).map(EventTime::micros);
        for seconds in ["100000000", "1262943000", "99999999999"] {
            assert_eq!(read(seconds), None, "{seconds}");
        }
        for millis in [0, 99_999_999, 100_000_000_000, 1_262_943_000_000] {
            assert_eq!(read(&millis.to_string()), Some(millis * 1000));
        }
    }
}

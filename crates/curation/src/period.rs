use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use lake_layout::LakePartition;

use crate::hour;

/// Hours that are chosen by a begin, an end, or both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Period {
    from: Option<Timestamp>,
    to: Option<Timestamp>,
}

/// The reason why a text or a pair of times is not a period.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeriodError {
    /// A text is neither a time nor a date.
    #[error("got {0:?}, wanted a time like 2026-11-24T06:00:00Z or a date like 2026-11-24")]
    Time(String),
    /// The end is not after the begin.
    #[error("from is {from} and to is {to}; from must be earlier")]
    Order {
        /// The begin.
        from: Timestamp,
        /// The end.
        to: Timestamp,
    },
}

impl Period {
    /// Returns the hours that have a moment from `from` on and before `to`.
    ///
    /// # Errors
    /// `to` is not after `from`.
    pub fn new(from: Option<Timestamp>, to: Option<Timestamp>) -> Result<Self, PeriodError> {
        match (from, to) {
            (Some(from), Some(to)) if from >= to => Err(PeriodError::Order { from, to }),
            _ => Ok(Self { from, to }),
        }
    }

    /// Parses the begin of a period: a time, or a date in UTC, which means its begin.
    ///
    /// # Errors
    /// It is neither.
    pub fn begin(text: &str) -> Result<Timestamp, PeriodError> {
        time(text, Some)
    }

    /// Parses the end of a period: a time, or a date in UTC, which means its end.
    ///
    /// # Errors
    /// It is neither.
    pub fn end(text: &str) -> Result<Timestamp, PeriodError> {
        time(text, |date| date.checked_add(1.day()).ok())
    }

    /// Returns whether the period has an hour.
    pub fn has(&self, hour: LakePartition) -> bool {
        hour::bounds(hour).is_some_and(|(begin, end)| {
            self.from.is_none_or(|from| from < end) && self.to.is_none_or(|to| begin < to)
        })
    }

    /// Returns whether the period may have hours of a day.
    pub fn has_day(&self, date: Date) -> bool {
        self.has(LakePartition::Day(date))
    }
}

fn time(text: &str, midnight: fn(Date) -> Option<Date>) -> Result<Timestamp, PeriodError> {
    let of_date = || {
        let date = midnight(text.parse().ok()?)?;
        Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
    };
    let time = text.parse().ok().or_else(of_date);
    time.ok_or_else(|| PeriodError::Time(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(from: &str, to: &str) -> Vec<&'static str> {
        let from = Period::begin(from).expect("a begin");
        let to = Period::end(to).expect("an end");
        let period = Period::new(Some(from), Some(to)).expect("a period");
        let all = [
            "dt=2026-11-23/hr=23",
            "dt=2026-11-24/hr=00",
            "dt=2026-11-24/hr=05",
            "dt=2026-11-24/hr=23",
            "dt=2026-11-25/hr=00",
            "dt=2026-11-24/hr=all",
            "dt=unknown/hr=unknown",
        ];
        let has = |hour: &&str| {
            let hour = LakePartition::of_key(&format!("{hour}/")).expect("an hour");
            period.has(hour)
        };
        all.into_iter().filter(has).collect()
    }

    #[test]
    fn dates_have_their_hours_and_times_the_hours_around_them() {
        let day = [
            "dt=2026-11-24/hr=00",
            "dt=2026-11-24/hr=05",
            "dt=2026-11-24/hr=23",
            "dt=2026-11-24/hr=all",
        ];
        assert_eq!(hours("2026-11-24", "2026-11-24"), day);
        let wanted = ["dt=2026-11-24/hr=05", "dt=2026-11-24/hr=all"];
        assert_eq!(
            hours("2026-11-24T05:59:59Z", "2026-11-24T06:00:00Z"),
            wanted
        );
    }

    #[test]
    fn a_wrong_period_says_what_is_wrong() {
        let error = Period::begin("yesterday").expect_err("not a time");
        assert!(
            error
                .to_string()
                .starts_with("got \"yesterday\", wanted a time like")
        );
        let time = Period::begin("2026-11-24").ok();
        let error = Period::new(time, time).expect_err("empty").to_string();
        assert!(error.contains("from must be earlier"), "{error}");
    }
}

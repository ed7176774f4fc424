use std::fmt;

use jiff::civil::Date;
use serde::Deserialize;
use tick::EventTime;

/// The time that decides the lake partition of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartitionBy {
    /// The Kafka record timestamp: a record arrives in the partition of the hour in which
    /// it was produced.
    #[default]
    KafkaTimestamp,
    /// The tick's own event time.
    EventTime,
}

/// The length of a lake partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Granularity {
    /// One partition an hour.
    #[default]
    Hour,
    /// One partition a day, under `hr=all`. It sorts after every hour, so that `hr >=
    /// '05'` still finds it.
    Day,
}

/// One Hive-style partition of the lake, `dt=YYYY-MM-DD/hr=HH` in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LakePartition {
    /// An hour of a day.
    Hour(Date, i8),
    /// A whole day: `hr=all`.
    Day(Date),
    /// Rows whose record has no usable timestamp: `dt=unknown/hr=unknown`, never the
    /// clock's hour.
    Unknown,
}

impl LakePartition {
    /// Returns the partition that a time belongs to.
    pub fn of(time: Option<EventTime>, granularity: Granularity) -> Self {
        match (time.map(EventTime::civil), granularity) {
            (Some(civil), Granularity::Hour) => Self::Hour(civil.date(), civil.hour()),
            (Some(civil), Granularity::Day) => Self::Day(civil.date()),
            (None, _) => Self::Unknown,
        }
    }

    /// Returns the partition with these values of `dt` and `hr`.
    pub fn parse(dt: &str, hr: &str) -> Option<Self> {
        let partition = match (dt, hr) {
            ("unknown", _) => Self::Unknown,
            (dt, "all") => Self::Day(dt.parse().ok()?),
            (dt, hr) => Self::Hour(
                dt.parse().ok()?,
                hr.parse().ok().filter(|hour| (0..24).contains(hour))?,
            ),
        };
        // Each partition has only one spelling.
        (partition.dt() == dt && partition.hr() == hr).then_some(partition)
    }

    /// Returns the partition in the folders of an object key, `…/dt=<dt>/hr=<hr>/<name>`,
    /// also of another program's object.
    pub fn of_key(key: &str) -> Option<Self> {
        let mut folders = key.rsplit('/').skip(1);
        let hr = folders.next()?.strip_prefix("hr=")?;
        let dt = folders.next()?.strip_prefix("dt=")?;
        Self::parse(dt, hr)
    }

    /// Returns the value of the partition key `dt`.
    pub fn dt(&self) -> String {
        match self {
            Self::Hour(date, _) | Self::Day(date) => date.to_string(),
            Self::Unknown => "unknown".to_owned(),
        }
    }

    /// Returns the value of the partition key `hr`.
    pub fn hr(&self) -> String {
        match self {
            Self::Hour(_, hour) => format!("{hour:02}"),
            Self::Day(_) => "all".to_owned(),
            Self::Unknown => "unknown".to_owned(),
        }
    }
}

impl fmt::Display for LakePartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dt={}/hr={}", self.dt(), self.hr())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_utc_and_unknown_is_never_the_clock() {
        let time = EventTime::parse_rfc3339("2026-11-21T00:30:00+02:00");
        assert_eq!(
            LakePartition::of(time, Granularity::Hour).to_string(),
            "dt=2026-11-20/hr=22"
        );
        assert_eq!(
            LakePartition::of(time, Granularity::Day).to_string(),
            "dt=2026-11-20/hr=all"
        );
        assert_eq!(
            LakePartition::of(None, Granularity::Hour).to_string(),
            "dt=unknown/hr=unknown"
        );
    }

    #[test]
    fn only_the_one_spelling_is_parsed() {
        assert!(
            LakePartition::parse("2026-11-20", "22").is_some()
                && LakePartition::parse("unknown", "unknown").is_some()
        );
        for (dt, hr) in [
            ("2026-11-20", "7"),
            ("2026-11-20", "24"),
            ("2026-1-2", "07"),
            ("unknown", "07"),
            ("20261120", "07"),
        ] {
            assert_eq!(LakePartition::parse(dt, hr), None, "{dt} {hr}");
        }
    }
}

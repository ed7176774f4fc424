use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use lake_layout::LakePartition;

/// Returns the lake partition of a text such as `dt=2026-11-24/hr=05`, if it can be
/// curated: `dt=unknown` cannot.
pub(crate) fn parse(text: &str) -> Option<LakePartition> {
    let hour = LakePartition::of_key(&format!("{text}/"))?;
    (hour.to_string() == text && bounds(hour).is_some()).then_some(hour)
}

/// Returns the begin of a lake partition and the begin of the one after it, or `None` for
/// `dt=unknown`.
pub fn bounds(hour: LakePartition) -> Option<(Timestamp, Timestamp)> {
    let at = |date: Date, hour: i8| {
        let zoned = date.at(hour, 0, 0, 0).to_zoned(TimeZone::UTC);
        zoned.ok().map(|zoned| zoned.timestamp())
    };
    let (begin, hours) = match hour {
        LakePartition::Hour(date, hour) => (at(date, hour)?, 1),
        LakePartition::Day(date) => (at(date, 0)?, 24),
        LakePartition::Unknown => return None,
    };
    let end = begin.checked_add(SignedDuration::from_hours(hours)).ok()?;
    Some((begin, end))
}

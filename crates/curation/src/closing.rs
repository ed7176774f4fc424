use std::time::Duration;

use jiff::Timestamp;
use lake_layout::LakePartition;

use crate::hour;

/// Settings of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// How long after its end, and after its newest raw object, an hour is closed.
    pub grace: Duration,
    /// Hours that begin before it are closed at once.
    pub through: Option<Timestamp>,
    /// Plan stuck hours, too.
    pub force: bool,
    /// An older version is tagged so long after the newer one was committed. A query that
    /// began with the older version can end: the tag lets a lifecycle rule expire its files.
    pub retire_after: Duration,
}

/// Raw objects that keep landing hold an hour open for this many graces at most.
const MAX_GRACES: u32 = 6;

/// Whether an hour is closed, which means that it may be planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closing {
    /// It is closed since then.
    Closed(Timestamp),
    /// It will be closed then if nothing else lands.
    Open(Timestamp),
}

impl Rules {
    /// Returns whether an hour is closed that has these creation times of raw objects that
    /// no committed version has; `None` if there are none, or the hour is not curated.
    ///
    /// An hour is closed a grace after its end if nothing has landed for a grace.
    /// Otherwise a backlog is landing, and it closes later: at most six graces after its
    /// end or the first of these objects, whichever is later. Ticks that land later make
    /// another version, so closing early costs work, never ticks.
    pub fn closing(
        &self,
        hour: LakePartition,
        created: impl Iterator<Item = Timestamp> + Clone,
        now: Timestamp,
    ) -> Option<Closing> {
        let (begin, end) = hour::bounds(hour)?;
        let (oldest, newest) = (created.clone().min()?, created.max()?);
        let after = |time: Timestamp, graces| {
            time.checked_add(self.grace.saturating_mul(graces))
                .unwrap_or(Timestamp::MAX)
        };
        let quiet = after(newest.max(end), 1);
        let latest = after(oldest.max(end), MAX_GRACES);
        let closes = quiet.min(latest);
        let is_through = self.through.is_some_and(|through| begin < through);
        Some(match closes <= now {
            true => Closing::Closed(closes),
            false if is_through => Closing::Closed(now),
            false => Closing::Open(closes),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closing(hour: &str, through: Option<&str>, created: &[&str], now: &str) -> Option<Closing> {
        let time = |text: &str| -> Timestamp { text.parse().expect("a time") };
        let rules = Rules {
            grace: Duration::from_secs(600),
            through: through.map(time),
            force: false,
            retire_after: Duration::from_secs(86_400),
        };
        let hour = LakePartition::of_key(&format!("{hour}/")).expect("a partition");
        rules.closing(hour, created.iter().map(|text| time(text)), time(now))
    }

    fn closed(text: &str) -> Option<Closing> {
        Some(Closing::Closed(text.parse().expect("a time")))
    }

    fn open(text: &str) -> Option<Closing> {
        Some(Closing::Open(text.parse().expect("a time")))
    }

    const HOUR: &str = "dt=2026-11-24/hr=05";

    #[test]
    fn an_hour_closes_a_grace_after_its_end() {
        let created = ["2026-11-24T05:01:00Z", "2026-11-24T05:59:59Z"];
        let at = |now| closing(HOUR, None, &created, now);
        assert_eq!(at("2026-11-24T06:09:59Z"), open("2026-11-24T06:10:00Z"));
        assert_eq!(at("2026-11-24T06:10:00Z"), closed("2026-11-24T06:10:00Z"));
        assert_eq!(at("2026-11-24T09:00:00Z"), closed("2026-11-24T06:10:00Z"));
    }

    #[test]
    fn a_backlog_holds_it_open_for_six_graces_at_most() {
        let lagging = ["2026-11-24T05:01:00Z", "2026-11-24T06:30:00Z"];
        let at = |now| closing(HOUR, None, &lagging, now);
        assert_eq!(at("2026-11-24T06:35:00Z"), open("2026-11-24T06:40:00Z"));
        assert_eq!(at("2026-11-24T06:40:00Z"), closed("2026-11-24T06:40:00Z"));
        let endless = ["2026-11-24T05:01:00Z", "2026-11-24T06:59:59Z"];
        let at = |now| closing(HOUR, None, &endless, now);
        assert_eq!(at("2026-11-24T07:00:00Z"), closed("2026-11-24T07:00:00Z"));
        let backfill = ["2026-11-30T08:00:00Z", "2026-11-30T08:55:00Z"];
        let at = |now| closing(HOUR, None, &backfill, now);
        assert_eq!(at("2026-11-30T08:59:00Z"), open("2026-11-30T09:00:00Z"));
    }

    #[test]
    fn a_day_closes_after_midnight_and_the_unknown_never() {
        let created = ["2026-11-24T05:01:00Z"];
        let day = |now| closing("dt=2026-11-24/hr=all", None, &created, now);
        assert_eq!(day("2026-11-24T23:00:00Z"), open("2026-11-25T00:10:00Z"));
        assert_eq!(day("2026-11-25T00:10:00Z"), closed("2026-11-25T00:10:00Z"));
        let unknown = "dt=unknown/hr=unknown";
        assert_eq!(
            closing(unknown, None, &created, "2030-01-01T00:00:00Z"),
            None
        );
        assert_eq!(closing(HOUR, None, &[], "2030-01-01T00:00:00Z"), None);
    }

    #[test]
    fn through_closes_what_begins_before_it() {
        let created = ["2026-11-24T05:01:00Z"];
        let at = |through| closing(HOUR, Some(through), &created, "2026-11-24T05:02:00Z");
        assert_eq!(at("2026-11-24T05:00:01Z"), closed("2026-11-24T05:02:00Z"));
        assert_eq!(at("2026-11-24T05:00:00Z"), open("2026-11-24T06:10:00Z"));
    }
}

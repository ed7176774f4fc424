use std::collections::{BTreeMap, HashMap};

use tick::EventTime;

use crate::schema;

/// An object's S3 metadata. With them, a reader of the object's event needs one HEAD
/// instead of the object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectMetadata {
    /// Rows in the object.
    pub rows: u64,
    /// First and last event time; `None` for dead letters.
    pub event_times: Option<(EventTime, EventTime)>,
    /// Count of each kind of reason among dead letters; empty for ticks.
    pub reasons: BTreeMap<String, u64>,
    /// The attempt of the object's manifest; `None` if another program wrote the object.
    pub attempt: Option<String>,
    /// The first offset that was left, if retention had taken part of the batch before
    /// the object was built.
    pub lost_below: Option<i64>,
    /// Number of the manifest's offsets that an operator gave up, as they could not be
    /// read again. The offsets below `lost_below` do not count.
    pub skipped: u64,
}

const ROWS: &str = "rows";
const FIRST: &str = "first-event-time";
const LAST: &str = "last-event-time";
const REASONS: &str = "reasons";
const ATTEMPT: &str = "attempt";
const LOST_BELOW: &str = "lost-below";
const SKIPPED: &str = "skipped";
const SCHEMA: &str = "schema";
const WRITER: &str = "writer";

impl ObjectMetadata {
    /// Returns the S3 user metadata (without `x-amz-meta-`).
    pub fn to_map(&self) -> HashMap<String, String> {
        let mut map = HashMap::from([
            (ROWS.to_owned(), self.rows.to_string()),
            (SCHEMA.to_owned(), schema::fingerprint()),
            (WRITER.to_owned(), crate::writer::WRITER.to_owned()),
        ]);
        if let Some((first, last)) = self.event_times {
            map.insert(FIRST.to_owned(), first.to_string());
            map.insert(LAST.to_owned(), last.to_string());
        }
        if !self.reasons.is_empty() {
            let counts: Vec<String> = self
                .reasons
                .iter()
                .map(|(reason, count)| format!("{reason}={count}"))
                .collect();
            map.insert(REASONS.to_owned(), counts.join(";"));
        }
        map.extend(
            self.attempt
                .iter()
                .map(|attempt| (ATTEMPT.to_owned(), attempt.clone())),
        );
        map.extend(
            self.lost_below
                .iter()
                .map(|offset| (LOST_BELOW.to_owned(), offset.to_string())),
        );
        if self.skipped > 0 {
            map.insert(SKIPPED.to_owned(), self.skipped.to_string());
        }
        map
    }

    /// Returns the metadata in S3 user metadata, or `None` if another program wrote the
    /// object.
    pub fn from_map(map: &HashMap<String, String>) -> Option<Self> {
        let time = |name| {
            map.get(name)
                .and_then(|text| EventTime::parse_rfc3339(text))
        };
        Some(Self {
            rows: map.get(ROWS)?.parse().ok()?,
            event_times: time(FIRST).zip(time(LAST)),
            reasons: map
                .get(REASONS)
                .map(|counts| counts.split(';').filter_map(count_of).collect())
                .unwrap_or_default(),
            attempt: map.get(ATTEMPT).cloned(),
            lost_below: map.get(LOST_BELOW).and_then(|offset| offset.parse().ok()),
            skipped: map
                .get(SKIPPED)
                .and_then(|offsets| offsets.parse().ok())
                .unwrap_or(0),
        })
    }
}

/// Reads `field price=3`.
fn count_of(text: &str) -> Option<(String, u64)> {
    let (reason, count) = text.rsplit_once('=')?;
    Some((reason.to_owned(), count.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_reads_back_and_foreign_metadata_does_not() {
        let time = EventTime::from_micros(1_262_941_800_123_456).expect("a time");
        let metadata = ObjectMetadata {
            rows: 7,
            event_times: Some((time, time)),
            reasons: [("field price".to_owned(), 3), ("too large".to_owned(), 1)].into(),
            attempt: Some("a".to_owned()),
            lost_below: Some(3),
            skipped: 2,
        };
        assert_eq!(ObjectMetadata::from_map(&metadata.to_map()), Some(metadata));
        assert_eq!(ObjectMetadata::from_map(&HashMap::new()), None);
    }
}

use std::fmt;

use crate::{Format, LakePartition};

/// The contents of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Ticks, below `ticks/`.
    Data(Format),
    /// Records that are not valid ticks, below `dead-letter/`, as gzipped JSON lines.
    DeadLetter,
}

/// The key of a lake object:
/// `ticks/dt=YYYY-MM-DD/hr=HH/<topic>-<partition>-<first>-<last>.<extension>`.
///
/// First and last are the offsets of the object's *batch*, padded with zeros to 20
/// digits. A batch that spans lake partitions gives several objects with the same range.
/// Except for the `=` of dt and hr, a key has no character that form encoding changes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ObjectKey {
    kind: Kind,
    lake_partition: LakePartition,
    topic: String,
    partition: i32,
    first: i64,
    last: i64,
}

/// The reason why a key is not one of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "object key {key:?}: {problem}; wanted ticks/dt=YYYY-MM-DD/hr=HH/\
     <topic>-<partition>-<first>-<last>.<parquet|json.gz|csv.gz>"
)]
pub struct ObjectKeyError {
    key: String,
    problem: &'static str,
}

impl ObjectKey {
    /// Prefix of the keys of data objects.
    pub const DATA: &str = "ticks/";
    /// Prefix of the keys of dead-letter objects.
    pub const DEAD_LETTERS: &str = "dead-letter/";

    /// Returns the key, or `None` if the topic has a character that Kafka does not allow,
    /// a number is negative, or `first > last`.
    pub fn new(
        kind: Kind,
        lake_partition: LakePartition,
        topic: &str,
        partition: i32,
        first: i64,
        last: i64,
    ) -> Option<Self> {
        let is_topic = !topic.is_empty()
            && topic
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        let is_range = partition >= 0 && first >= 0 && first <= last;
        (is_topic && is_range).then(|| Self {
            kind,
            lake_partition,
            topic: topic.to_owned(),
            partition,
            first,
            last,
        })
    }

    /// Parses a key, from the right, as topics contain dashes.
    ///
    /// # Errors
    /// The text is not a key; the error names the wrong part.
    pub fn parse(key: &str) -> Result<Self, ObjectKeyError> {
        let error = |problem| ObjectKeyError {
            key: key.to_owned(),
            problem,
        };
        let mut parts = key.split('/');
        let prefix = parts.next().unwrap_or_default();
        let dt = parts
            .next()
            .and_then(|part| part.strip_prefix("dt="))
            .ok_or_else(|| error("no dt= below the prefix"))?;
        let hr = parts
            .next()
            .and_then(|part| part.strip_prefix("hr="))
            .ok_or_else(|| error("no hr= below dt="))?;
        let name = parts.next().ok_or_else(|| error("no file name"))?;
        if parts.next().is_some() {
            return Err(error("too many folders"));
        }
        let lake_partition =
            LakePartition::parse(dt, hr).ok_or_else(|| error("dt or hr is not a date and hour"))?;
        let (kind, stem) = match prefix {
            "ticks" => Format::ALL
                .iter()
                .find_map(|format| {
                    Some((
                        Kind::Data(*format),
                        strip_extension(name, format.extension())?,
                    ))
                })
                .ok_or_else(|| error("unknown extension"))?,
            "dead-letter" => (
                Kind::DeadLetter,
                strip_extension(name, Format::Json.extension())
                    .ok_or_else(|| error("dead letters end in .json.gz"))?,
            ),
            _ => return Err(error("neither below ticks/ nor below dead-letter/")),
        };
        let mut parts = stem.rsplitn(4, '-');
        let offset = |text: Option<&str>| {
            text.filter(|text| text.len() == 20 && is_digits(text))
                .and_then(|text| text.parse().ok())
        };
        let last: i64 =
            offset(parts.next()).ok_or_else(|| error("the last offset is not 20 digits"))?;
        let first: i64 =
            offset(parts.next()).ok_or_else(|| error("the first offset is not 20 digits"))?;
        let partition = parts
            .next()
            .filter(|text| is_digits(text) && (*text == "0" || !text.starts_with('0')))
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| error("the partition is not a number"))?;
        let topic = parts.next().unwrap_or_default();
        Self::new(kind, lake_partition, topic, partition, first, last)
            .ok_or_else(|| error("no such topic or offset range"))
    }

    /// Returns the kind of the object's contents.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns the topic of the object's rows.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Returns the Kafka partition of the object's rows.
    pub fn partition(&self) -> i32 {
        self.partition
    }

    /// Returns the first offset of the object's batch.
    pub fn first(&self) -> i64 {
        self.first
    }

    /// Returns the last offset of the object's batch.
    pub fn last(&self) -> i64 {
        self.last
    }

    /// Returns the key without its folders.
    fn file_name(&self) -> String {
        let extension = match self.kind {
            Kind::Data(format) => format.extension(),
            Kind::DeadLetter => Format::Json.extension(),
        };
        format!(
            "{}-{}-{:020}-{:020}.{extension}",
            self.topic, self.partition, self.first, self.last
        )
    }
}

fn strip_extension<'a>(name: &'a str, extension: &str) -> Option<&'a str> {
    name.strip_suffix(extension)?.strip_suffix('.')
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = match self.kind {
            Kind::Data(_) => Self::DATA,
            Kind::DeadLetter => Self::DEAD_LETTERS,
        };
        write!(f, "{prefix}{}/{}", self.lake_partition, self.file_name())
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::Date;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn topics_may_contain_dashes_and_digits() {
        let text =
            "ticks/dt=2026-11-21/hr=05/a-1-2-3-00000000000000000000-00000000000000001422.parquet";
        let key = ObjectKey::parse(text).expect("a key");
        assert_eq!(
            (key.topic.as_str(), key.partition, key.first, key.last),
            ("a-1-2", 3, 0, 1422)
        );
        assert_eq!(key.to_string(), text);
    }

    #[test]
    fn foreign_keys_say_what_is_wrong() {
        let problem = |key: &str| ObjectKey::parse(key).expect_err(key).problem;
        assert_eq!(
            problem("ticks/dt=2026-11-21/hr=05/t-0-5-9.parquet"),
            "the last offset is not 20 digits"
        );
        assert_eq!(
            problem("ticks/dt=2026-11-21/hr=25/x"),
            "dt or hr is not a date and hour"
        );
        assert_eq!(
            problem("_manifests/ticks/0/1.json"),
            "no dt= below the prefix"
        );
        assert_eq!(
            problem("ticks/dt=2026-11-21/hr=05/x.txt"),
            "unknown extension"
        );
    }

    fn any_lake_partition() -> impl Strategy<Value = LakePartition> {
        let date = (1970i16..=9999, 1i8..=12, 1i8..=28)
            .prop_map(|(y, m, d)| Date::new(y, m, d).expect("a date"));
        prop_oneof![
            (date.clone(), 0i8..24).prop_map(|(date, hour)| LakePartition::Hour(date, hour)),
            date.prop_map(LakePartition::Day),
            Just(LakePartition::Unknown),
        ]
    }

    fn any_kind() -> impl Strategy<Value = Kind> {
        prop_oneof![
            Just(Kind::DeadLetter),
            (0usize..3).prop_map(|format| Kind::Data(Format::ALL[format]))
        ]
    }

    proptest! {
        #[test]
        fn every_key_parses_back(
            kind in any_kind(),
            lake_partition in any_lake_partition(),
            topic in "[a-zA-Z0-9._-]{1,40}",
            partition in 0i32..,
            first in 0i64..i64::MAX / 2,
            length in 0i64..i64::MAX / 2,
        ) {
            let last = first + length;
            let key = ObjectKey::new(kind, lake_partition, &topic, partition, first, last)
                .expect("a key");
            prop_assert_eq!(ObjectKey::parse(&key.to_string()), Ok(key));
        }

        #[test]
        fn a_parsed_key_is_spelled_the_same(
            key in concat!(
                "(ticks|dead-letter)/dt=20[0-9]{2}-[01][0-9]-[0-3][0-9]/hr=[0-2][0-9]/",
                "[a-z-]{1,4}-[0-9]{1,3}-0{17}[0-9]{3}-0{17}[0-9]{3}.(parquet|json.gz)",
            )
        ) {
            if let Ok(parsed) = ObjectKey::parse(&key) {
                prop_assert_eq!(parsed.to_string(), key);
            }
        }
    }
}

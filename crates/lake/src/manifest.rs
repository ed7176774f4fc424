use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{ObjectKey, OffsetRuns};

/// The form of manifests that this version writes, and the newest that it reads.
const VERSION: u32 = 1;
const PREFIX: &str = "_manifests/";
/// 10^19 − 1: first offsets are subtracted from it, so that a listing begins with the
/// newest manifest.
const MAX_OFFSET_KEY: u64 = 9_999_999_999_999_999_999;

/// The place of every offset of `[first, last]` of one partition. A write-once register:
/// created with `If-None-Match: *` and never changed or deleted. It decides for everybody
/// about the batch that begins at `first`.
///
/// An offset that is in no object, not a skipped tombstone and in no gap is absent from
/// the log: transaction markers and aborted records.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Manifest {
    /// The topic.
    pub topic: String,
    /// Kafka's id of the topic. A recreated topic has another one.
    pub topic_id: String,
    /// The partition.
    pub partition: i32,
    /// The first offset: the last of the manifest before, plus one.
    pub first: i64,
    /// The last offset.
    pub last: i64,
    /// Which attempt to seal wrote it; its objects carry the same.
    pub attempt: String,
    /// The program and version that wrote it.
    pub writer: String,
    /// The reason why there are no objects, if this is a gap.
    pub gap: Option<GapReason>,
    /// The batch's objects.
    pub objects: Vec<ManifestObject>,
    /// Records without a value that were left out on request.
    pub tombstones: OffsetRuns,
}

/// An object of a batch and the offsets in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ManifestObject {
    /// Its key, which also names its kind and its encoding.
    pub key: ObjectKey,
    /// The offsets of its rows.
    pub offsets: OffsetRuns,
}

/// Why offsets are in no object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GapReason {
    /// The log began behind them when the partition was first landed.
    BeforeLogStart,
    /// Retention removed them before they were landed.
    LostToRetention,
    /// An operator skipped them.
    Skipped,
}

/// Why a body is not a manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// A later version wrote it.
    #[error(
        "it has form {version} and was written by {writer}; this version reads forms up to \
         {VERSION}: run {writer} or later"
    )]
    Newer {
        /// Its form.
        version: u32,
        /// Who wrote it.
        writer: String,
    },
    /// It is not JSON of the right form.
    #[error("it is not a manifest: {0}")]
    Form(#[from] serde_json::Error),
    /// Its parts contradict each other.
    #[error("it is not a manifest: {0}")]
    Content(&'static str),
}

#[derive(Serialize, Deserialize)]
struct Raw {
    version: u32,
    writer: String,
    topic: String,
    topic_id: String,
    partition: i32,
    first: i64,
    last: i64,
    attempt: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    gap: Option<GapReason>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    objects: Vec<RawObject>,
    #[serde(skip_serializing_if = "String::is_empty", default)]
    tombstones: String,
}

#[derive(Serialize, Deserialize)]
struct RawObject {
    key: String,
    rows: u64,
    offsets: String,
}

/// The fields that every later version's manifest has.
#[derive(Deserialize)]
struct Head {
    version: u32,
    writer: String,
}

impl GapReason {
    /// Returns the reason in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::BeforeLogStart => "before the log's start",
            Self::LostToRetention => "lost to retention",
            Self::Skipped => "skipped by an operator",
        }
    }
}

impl Manifest {
    /// Returns the manifest of a gap.
    pub fn of_gap(
        topic: &str,
        topic_id: &str,
        partition: i32,
        (first, last): (i64, i64),
        reason: GapReason,
        attempt: String,
    ) -> Self {
        Self {
            topic: topic.to_owned(),
            topic_id: topic_id.to_owned(),
            partition,
            first,
            last,
            attempt,
            writer: lake_layout::WRITER.to_owned(),
            gap: Some(reason),
            objects: Vec::new(),
            tombstones: OffsetRuns::default(),
        }
    }

    /// Returns its place in the bucket.
    pub fn key(&self) -> ManifestKey {
        ManifestKey {
            topic: self.topic.clone(),
            partition: self.partition,
            first: self.first,
        }
    }

    /// Returns its body. The same manifest gives the same bytes.
    ///
    /// # Errors
    /// None that a manifest can cause; serde's signature has one.
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        let object = |object: &ManifestObject| RawObject {
            key: object.key.to_string(),
            rows: object.offsets.count(),
            offsets: object.offsets.to_text(self.first),
        };
        serde_json::to_vec(&Raw {
            version: VERSION,
            writer: self.writer.clone(),
            topic: self.topic.clone(),
            topic_id: self.topic_id.clone(),
            partition: self.partition,
            first: self.first,
            last: self.last,
            attempt: self.attempt.clone(),
            gap: self.gap,
            objects: self.objects.iter().map(object).collect(),
            tombstones: self.tombstones.to_text(self.first),
        })
    }

    /// Returns the manifest that a body holds.
    ///
    /// # Errors
    /// It is of a later version, or none.
    pub fn from_json(body: &[u8]) -> Result<Self, ManifestError> {
        let head: Head = serde_json::from_slice(body)?;
        if head.version > VERSION {
            return Err(ManifestError::Newer {
                version: head.version,
                writer: head.writer,
            });
        }
        let raw: Raw = serde_json::from_slice(body)?;
        let wrong = ManifestError::Content;
        if raw.first < 0 || raw.first > raw.last {
            return Err(wrong("its first offset is not between 0 and its last"));
        }
        let within =
            |runs: &OffsetRuns| runs.runs().last().is_none_or(|(_, last)| *last <= raw.last);
        let mut objects = Vec::with_capacity(raw.objects.len());
        for object in &raw.objects {
            let key = ObjectKey::parse(&object.key)
                .map_err(|_| wrong("an object's key is not one of the lake's"))?;
            let offsets = OffsetRuns::parse(&object.offsets, raw.first)
                .ok_or_else(|| wrong("an object's offsets are not ascending runs"))?;
            if !within(&offsets) || offsets.count() != object.rows {
                return Err(wrong(
                    "an object's offsets are not as many as its rows, or lie behind the last",
                ));
            }
            objects.push(ManifestObject { key, offsets });
        }
        let tombstones = OffsetRuns::parse(&raw.tombstones, raw.first)
            .ok_or_else(|| wrong("its tombstones are not ascending runs"))?;
        if raw.gap.is_some() && !objects.is_empty() {
            return Err(wrong("a gap has objects"));
        }
        let Raw {
            writer,
            topic,
            topic_id,
            partition,
            first,
            last,
            attempt,
            gap,
            ..
        } = raw;
        Ok(Self {
            topic,
            topic_id,
            partition,
            first,
            last,
            attempt,
            writer,
            gap,
            objects,
            tombstones,
        })
    }

    /// Returns the first and the last offset of some of its objects; `None` if they have
    /// none.
    pub fn span(&self, objects: &[usize]) -> Option<(i64, i64)> {
        let runs = || {
            objects
                .iter()
                .filter_map(|index| self.objects.get(*index))
                .flat_map(|object| object.offsets.runs())
        };
        runs()
            .map(|run| run.0)
            .min()
            .zip(runs().map(|run| run.1).max())
    }

    /// Returns how many of its offsets the log did not have.
    pub fn absent(&self) -> u64 {
        let accounted: u64 = self
            .objects
            .iter()
            .map(|object| object.offsets.count())
            .sum::<u64>()
            + self.tombstones.count();
        match self.gap {
            Some(_) => 0,
            None => ((self.last - self.first).unsigned_abs() + 1).saturating_sub(accounted),
        }
    }
}

/// A manifest's place in the bucket, `_manifests/<topic>/<partition>/<10^19 − 1 −
/// first>-<first>.json`: S3 lists the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ManifestKey {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The first offset.
    pub first: i64,
}

impl ManifestKey {
    /// Returns the prefix of the manifests of all topics.
    pub fn root() -> &'static str {
        PREFIX
    }

    /// Returns the prefix of a partition's manifests.
    pub fn prefix(topic: &str, partition: i32) -> String {
        format!("{PREFIX}{topic}/{partition}/")
    }

    /// Returns the key that this text is.
    pub fn parse(key: &str) -> Option<Self> {
        let mut parts = key.strip_prefix(PREFIX)?.split('/');
        let (topic, partition, name) = (parts.next()?, parts.next()?, parts.next()?);
        let (_, first) = name.strip_suffix(".json")?.split_once('-')?;
        let parsed = Self {
            topic: topic.to_owned(),
            partition: partition.parse().ok()?,
            first: first.parse().ok().filter(|first| *first >= 0)?,
        };
        (parsed.to_string() == key).then_some(parsed)
    }
}

impl fmt::Display for ManifestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            topic,
            partition,
            first,
        } = self;
        write!(
            f,
            "{PREFIX}{topic}/{partition}/{:019}-{first}.json",
            MAX_OFFSET_KEY - first.unsigned_abs()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let key =
            "ticks/dt=1970-01-01/hr=00/a-b-3-00000000000000000010-00000000000000000014.parquet";
        let mut manifest =
            Manifest::of_gap("a-b", "id", 3, (10, 14), GapReason::Skipped, "x".to_owned());
        manifest.gap = None;
        manifest.objects = vec![ManifestObject {
            key: ObjectKey::parse(key).expect("a key"),
            offsets: OffsetRuns::run(10, 12),
        }];
        manifest.tombstones = OffsetRuns::run(14, 14);
        manifest
    }

    #[test]
    fn a_manifest_reads_back_and_counts_what_the_log_did_not_have() {
        let manifest = manifest();
        let body = manifest.to_json().expect("JSON");
        assert_eq!(
            String::from_utf8_lossy(&body),
            concat!(
                r#"{"version":1,"writer":"ticklake/0.1.0","topic":"a-b","topic_id":"id","partition":3,"first":10,"last":14,"attempt":"x","#,
                r#""objects":[{"key":"ticks/dt=1970-01-01/hr=00/a-b-3-00000000000000000010-00000000000000000014.parquet","rows":3,"offsets":"0-2"}],"#,
                r#""tombstones":"4"}"#
            )
        );
        assert_eq!(Manifest::from_json(&body).expect("a manifest"), manifest);
        assert_eq!(manifest.absent(), 1);
    }

    #[test]
    fn what_is_newer_or_contradicts_itself_is_refused_with_the_remedy() {
        let said = |body: &str| {
            Manifest::from_json(body.as_bytes())
                .expect_err(body)
                .to_string()
        };
        assert!(
            said(r#"{"version":2,"writer":"ticklake/9.0.0","what":"ever"}"#)
                .ends_with("run ticklake/9.0.0 or later")
        );
        assert!(said("<html>").starts_with("it is not a manifest"));
        let text = String::from_utf8(manifest().to_json().expect("JSON")).expect("text");
        assert!(said(&text.replace(r#""rows":3"#, r#""rows":4"#)).contains("as many as its rows"));
        assert!(said(&text.replace(r#""last":14"#, r#""last":9"#)).contains("first offset"));
        assert!(
            said(&text.replace(r#""last":14"#, r#""last":11"#)).contains("lie behind the last")
        );
        assert!(
            said(&text.replace(r#""offsets":"0-2""#, r#""offsets":"2-0""#))
                .contains("not ascending runs")
        );
        assert!(
            said(&text.replace(r#""tombstones":"4""#, r#""tombstones":"x""#))
                .contains("tombstones")
        );
        assert!(
            said(&text.replace(r#""objects""#, r#""gap":"skipped","objects""#))
                .contains("a gap has objects")
        );
        assert!(said(&text.replace("ticks/dt", "tocks/dt")).contains("not one of the lake's"));
    }

    #[test]
    fn listings_begin_with_the_newest() {
        let key = |first| {
            ManifestKey {
                topic: "a-b".to_owned(),
                partition: 3,
                first,
            }
            .to_string()
        };
        assert_eq!(key(0), "_manifests/a-b/3/9999999999999999999-0.json");
        assert!(key(i64::MAX) < key(101) && key(101) < key(100) && key(10) < key(9));
        assert_eq!(
            ManifestKey::parse(&key(10)),
            Some(ManifestKey {
                topic: "a-b".to_owned(),
                partition: 3,
                first: 10
            })
        );
        assert_eq!(
            ManifestKey::parse("_manifests/a-b/3/9999999999999999999-1.json"),
            None
        );
    }
}

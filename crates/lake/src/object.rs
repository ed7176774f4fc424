use std::collections::BTreeMap;

use crate::encode::{self, EncodeError};
use crate::rows::Rows;
use crate::{DeadLetter, Format, Kind, LakePartition, Manifest, ManifestObject, ObjectKey, ObjectMetadata, OffsetRuns};

/// An object to be put into the lake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Where it goes.
    pub key: ObjectKey,
    /// What its metadata says.
    pub metadata: ObjectMetadata,
    /// Its bytes.
    pub body: bytes::Bytes,
}

/// What the objects of a batch have in common.
pub(crate) struct Source<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    pub(crate) range: (i64, i64),
    pub(crate) attempt: &'a str,
    pub(crate) lost_below: Option<i64>,
}

impl Source<'_> {
    pub(crate) fn key(&self, kind: Kind, lake_partition: LakePartition) -> Result<ObjectKey, EncodeError> {
        let (first, last) = self.range;
        ObjectKey::new(kind, lake_partition, self.topic, self.partition, first, last).ok_or_else(|| EncodeError::Key {
            topic: self.topic.to_owned(),
            partition: self.partition,
            first,
            last,
        })
    }

    fn metadata(&self, rows: usize, event_times: Option<(tick::EventTime, tick::EventTime)>) -> ObjectMetadata {
        ObjectMetadata {
            rows: rows as u64,
            event_times,
            reasons: BTreeMap::new(),
            attempt: Some(self.attempt.to_owned()),
            lost_below: self.lost_below,
        }
    }

    pub(crate) fn manifest<'a>(
        &self,
        topic_id: &str,
        objects: impl Iterator<Item = (&'a Object, OffsetRuns)>,
        tombstones: OffsetRuns,
    ) -> Manifest {
        Manifest {
            topic: self.topic.to_owned(),
            topic_id: topic_id.to_owned(),
            partition: self.partition,
            first: self.range.0,
            last: self.range.1,
            attempt: self.attempt.to_owned(),
            writer: Manifest::WRITER.to_owned(),
            gap: None,
            objects: objects.map(|(object, offsets)| ManifestObject { key: object.key.clone(), offsets }).collect(),
            tombstones,
        }
    }
}

pub(crate) fn of_rows(source: &Source<'_>, key: ObjectKey, rows: &Rows) -> Result<Object, EncodeError> {
    let format = match key.kind() {
        Kind::Data(format) => format,
        Kind::DeadLetter => Format::Json,
    };
    let times = rows.event_times();
    let metadata = source.metadata(rows.len(), times.clone().min().zip(times.max()));
    Ok(Object { key, metadata, body: encode::rows(format, source.partition, rows)?.into() })
}

pub(crate) fn of_dead_letters(source: &Source<'_>, key: ObjectKey, letters: &[DeadLetter]) -> Result<Object, EncodeError> {
    let mut metadata = source.metadata(letters.len(), None);
    for letter in letters {
        *metadata.reasons.entry(letter.kind_of_reason().to_owned()).or_default() += 1;
    }
    Ok(Object { key, metadata, body: encode::dead_letters(source.topic, source.partition, letters)?.into() })
}

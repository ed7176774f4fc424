use std::collections::BTreeMap;

use tick::EventTime;

use crate::encode::{EncodeError, Encoder};
use crate::rows::Rows;
use crate::{
    DeadLetter, Kind, LakePartition, Manifest, ManifestObject, ObjectKey, ObjectMetadata,
    OffsetRuns,
};

/// An object for the lake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its key.
    pub key: ObjectKey,
    /// Its metadata.
    pub metadata: ObjectMetadata,
    /// Its bytes.
    pub body: bytes::Bytes,
}

/// The properties that all objects of a batch share.
pub(crate) struct Source<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    pub(crate) range: (i64, i64),
    pub(crate) attempt: &'a str,
    pub(crate) lost_below: Option<i64>,
}

impl Source<'_> {
    pub(crate) fn key(
        &self,
        kind: Kind,
        lake_partition: LakePartition,
    ) -> Result<ObjectKey, EncodeError> {
        let (first, last) = self.range;
        ObjectKey::new(
            kind,
            lake_partition,
            self.topic,
            self.partition,
            first,
            last,
        )
        .ok_or_else(|| EncodeError::Key {
            topic: self.topic.to_owned(),
            partition: self.partition,
            first,
            last,
        })
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
            writer: lake_layout::WRITER.to_owned(),
            gap: None,
            objects: objects
                .map(|(object, offsets)| ManifestObject {
                    key: object.key.clone(),
                    offsets,
                })
                .collect(),
            tombstones,
        }
    }
}

/// An unfinished object. It takes rows or dead letters in pieces and keeps their encoded
/// bytes.
pub(crate) struct Draft {
    key: ObjectKey,
    encoder: Encoder,
    rows: u64,
    event_times: Option<(EventTime, EventTime)>,
    reasons: BTreeMap<String, u64>,
}

impl Draft {
    pub(crate) fn new(key: ObjectKey) -> Result<Self, EncodeError> {
        Ok(Self {
            encoder: Encoder::new(key.kind())?,
            key,
            rows: 0,
            event_times: None,
            reasons: BTreeMap::new(),
        })
    }

    pub(crate) fn rows(&mut self, source: &Source<'_>, rows: &Rows) -> Result<(), EncodeError> {
        let times = rows.event_times();
        for time in times.clone().min().into_iter().chain(times.max()) {
            let (first, last) = self.event_times.unwrap_or((time, time));
            self.event_times = Some((first.min(time), last.max(time)));
        }
        self.rows += rows.len() as u64;
        self.encoder.rows(source.partition, rows)
    }

    pub(crate) fn dead_letters(
        &mut self,
        source: &Source<'_>,
        letters: &[DeadLetter],
    ) -> Result<(), EncodeError> {
        for letter in letters {
            *self
                .reasons
                .entry(letter.kind_of_reason().to_owned())
                .or_default() += 1;
        }
        self.rows += letters.len() as u64;
        self.encoder
            .dead_letters(source.topic, source.partition, letters)
    }

    /// Returns the approximate number of bytes of memory that the draft takes.
    pub(crate) fn memory(&self) -> u64 {
        self.encoder.written() + Encoder::MEMORY
    }

    /// Returns the object. `skipped` of its offsets were given up.
    pub(crate) fn finish(self, source: &Source<'_>, skipped: u64) -> Result<Object, EncodeError> {
        let metadata = ObjectMetadata {
            rows: self.rows,
            event_times: self.event_times,
            reasons: self.reasons,
            attempt: Some(source.attempt.to_owned()),
            lost_below: source.lost_below,
            skipped,
        };
        Ok(Object {
            key: self.key,
            metadata,
            body: self.encoder.finish()?.into(),
        })
    }
}

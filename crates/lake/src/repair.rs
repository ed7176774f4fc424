use std::sync::Arc;

use tick::{EventTime, Tick};

use crate::encode::EncodeError;
use crate::object::{self, Source};
use crate::rows::Rows;
use crate::{DeadLetter, Kind, Manifest, Object, Record};

/// Makes the objects of a manifest again from its records, as *it* says: its map decides which record goes where, its keys decide on the encodings. The
/// configuration and the rules of whoever repairs decide nothing.
#[derive(Debug)]
pub struct Repair {
    manifest: Arc<Manifest>,
    /// First and last offset of each run, and the object it goes to, ascending.
    map: Vec<(i64, i64, usize)>,
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Data(Rows),
    DeadLetters(Vec<DeadLetter>),
}

/// Why a manifest's objects cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// A record is no tick for this version, and was one for the manifest's.
    #[error("offset {offset} was a tick for {writer} and is none for this version ({reason}); run {writer} until the batch is complete")]
    Record {
        /// Its offset.
        offset: i64,
        /// What this version says.
        reason: String,
        /// Who wrote the manifest.
        writer: String,
    },
    /// An encoder refused.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

impl Repair {
    /// Returns a repair that has no records yet.
    pub fn new(manifest: Arc<Manifest>) -> Self {
        let mut map: Vec<(i64, i64, usize)> = Vec::new();
        for (index, object) in manifest.objects.iter().enumerate() {
            map.extend(object.offsets.runs().iter().map(|(first, last)| (*first, *last, index)));
        }
        map.sort_unstable();
        let part = |kind| match kind {
            Kind::Data(_) => Part::Data(Rows::default()),
            Kind::DeadLetter => Part::DeadLetters(Vec::new()),
        };
        let parts = manifest.objects.iter().map(|object| part(object.key.kind())).collect();
        Self { manifest, map, parts }
    }

    /// Takes the next record of the manifest's range, in ascending order.
    ///
    /// # Errors
    /// This version cannot make of it what the manifest says.
    pub fn push(&mut self, record: &Record<'_>) -> Result<(), RepairError> {
        let behind = self.map.partition_point(|(first, ..)| *first <= record.offset);
        let run = behind.checked_sub(1).map(|at| self.map[at]).filter(|(_, last, _)| record.offset <= *last);
        let Some((_, _, index)) = run else { return Ok(()) };
        let tick = Tick::from_json(record.value.unwrap_or_default());
        match (&mut self.parts[index], tick) {
            (Part::Data(rows), Ok(tick)) => {
                rows.push(&tick, record.offset, record.timestamp_ms.and_then(EventTime::from_millis));
            }
            (Part::Data(_), Err(reason)) => {
                let (reason, writer) = (reason.to_string(), self.manifest.writer.clone());
                return Err(RepairError::Record { offset: record.offset, reason, writer });
            }
            (Part::DeadLetters(letters), tick) => {
                let reason = tick.err().map_or_else(|| format!("no tick for {}", self.manifest.writer), |error| error.to_string());
                letters.push(DeadLetter::new(record, reason));
            }
        }
        Ok(())
    }

    /// Returns the manifest's objects, in its order. `lost_below` is the first offset that retention had left, where it had taken part of the range.
    ///
    /// # Errors
    /// An encoder refused.
    pub fn objects(&self, lost_below: Option<i64>) -> Result<Vec<Object>, RepairError> {
        let Manifest { topic, partition, first, last, attempt, .. } = &*self.manifest;
        let source = Source { topic, partition: *partition, range: (*first, *last), attempt, lost_below };
        let each = self.manifest.objects.iter().zip(&self.parts).map(|(object, part)| match part {
            Part::Data(rows) => object::of_rows(&source, object.key.clone(), rows),
            Part::DeadLetters(letters) => object::of_dead_letters(&source, object.key.clone(), letters),
        });
        Ok(each.collect::<Result<_, _>>()?)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use proptest::prelude::*;

    use super::*;
    use crate::{Batch, Format, Granularity, PartitionBy, Routing, Rules};

    /// Records whose lake partitions, dead letters and tombstones are mixed.
    fn values(kinds: &[u8]) -> Vec<Vec<u8>> {
        let value = |kind: &u8| match kind {
            0 => b"poison".to_vec(),
            1 => Vec::new(),
            kind => format!(r#"{{"symbol":"A","event_time":"20{kind:02}-01-08T00:00:00Z","price":1}}"#).into_bytes(),
        };
        kinds.iter().map(value).collect()
    }

    proptest! {
        #[test]
        fn a_repair_gives_the_objects_that_the_batch_gave(
            kinds in proptest::collection::vec(0u8..6, 1..30), skip_tombstones: bool, format in 0usize..3,
        ) {
            let routing = Routing { by: PartitionBy::EventTime, granularity: Granularity::Day };
            let mut batch = Batch::new("t", 1, 5, Rules { routing, max_record_bytes: 100, skip_tombstones });
            let values = values(&kinds);
            let record = |index: usize| Record { offset: 7 + index as i64 * 2, timestamp_ms: Some(9), value: Some(&values[index]), ..Record::default() };
            for index in 0..values.len() {
                batch.push(&record(index), Instant::now());
            }
            let (manifest, objects) = batch.seal(Format::ALL[format], "id", "attempt").expect("objects");
            // The manifest as another process reads it.
            let manifest = Manifest::from_json(&manifest.to_json().expect("JSON")).expect("a manifest");
            let mut repair = Repair::new(Arc::new(manifest));
            for index in 0..values.len() {
                repair.push(&record(index)).expect("a record");
            }
            prop_assert_eq!(repair.objects(None).expect("objects"), objects);
        }
    }
}

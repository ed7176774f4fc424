use std::collections::BTreeMap;
use std::time::Instant;

use tick::{EventTime, Tick, TickError};

use crate::encode::EncodeError;
use crate::object::{Draft, Source};
use crate::rows::Rows;
use crate::{
    DeadLetter, Format, Granularity, Kind, LakePartition, Manifest, Object, OffsetRuns,
    PartitionBy, Record,
};

/// The rule that gives a row its lake partition.
#[derive(Debug, Clone, Copy, Default)]
pub struct Routing {
    /// The time that decides.
    pub by: PartitionBy,
    /// The length of a lake partition.
    pub granularity: Granularity,
}

/// The rules for records.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// The rule that gives a row its lake partition.
    pub routing: Routing,
    /// Maximum bytes of a record's value. A larger record is a dead letter, even if it is
    /// a valid tick.
    pub max_record_bytes: u64,
    /// Leaves records without a value out. Otherwise they are dead letters.
    pub skip_tombstones: bool,
}

impl Rules {
    /// Returns the tick in a record's value.
    ///
    /// # Errors
    /// The record is a dead letter; the error is the reason.
    pub fn tick(&self, value: &[u8]) -> Result<Tick, String> {
        let (got, most) = (value.len() as u64, self.max_record_bytes);
        if got > most {
            return Err(format!(
                "{got} bytes, wanted at most {most} (setting records.max_bytes)"
            ));
        }
        Tick::from_json(value).map_err(|error: TickError| error.to_string())
    }
}

/// The records of a contiguous offset range of one Kafka partition, validated and routed
/// as they come.
///
/// Every record of the range is in the batch exactly once: as a row, as a dead letter, or
/// as a tombstone that is left out. The only holes are offsets that the log does not have
/// (transaction markers).
#[derive(Debug, Clone)]
pub struct Batch {
    topic: String,
    partition: i32,
    rules: Rules,
    first: i64,
    last: Option<i64>,
    opened_at: Option<Instant>,
    oldest_ms: Option<i64>,
    rows: BTreeMap<LakePartition, Rows>,
    dead_letters: Vec<DeadLetter>,
    tombstones: OffsetRuns,
    count: u64,
    value_bytes: u64,
    inexact_numbers: u64,
    memory: u64,
    runs: usize,
}

impl Batch {
    /// Returns an empty batch that begins at `first`.
    pub fn new(topic: &str, partition: i32, first: i64, rules: Rules) -> Self {
        Self {
            topic: topic.to_owned(),
            partition,
            rules,
            first,
            last: None,
            opened_at: None,
            oldest_ms: None,
            rows: BTreeMap::new(),
            dead_letters: Vec::new(),
            tombstones: OffsetRuns::default(),
            count: 0,
            value_bytes: 0,
            inexact_numbers: 0,
            memory: 0,
            runs: 0,
        }
    }

    /// Adds the next record. Returns its dead letter if it is not a valid tick.
    pub fn push(&mut self, record: &Record<'_>, now: Instant) -> Option<&DeadLetter> {
        self.last = Some(record.offset);
        self.opened_at.get_or_insert(now);
        self.oldest_ms = self.oldest_ms.or(record.timestamp_ms);
        self.count += 1;
        let value = record.value.unwrap_or_default();
        self.value_bytes += value.len() as u64;
        if value.is_empty() && self.rules.skip_tombstones {
            let before = self.tombstones.runs().len();
            self.tombstones.push(record.offset);
            self.runs += self.tombstones.runs().len() - before;
            return None;
        }
        match self.rules.tick(value) {
            Ok(tick) => {
                let kafka_timestamp = record.timestamp_ms.and_then(EventTime::from_millis);
                let time = match self.rules.routing.by {
                    PartitionBy::KafkaTimestamp => kafka_timestamp,
                    PartitionBy::EventTime => Some(tick.event_time),
                };
                let lake_partition = LakePartition::of(time, self.rules.routing.granularity);
                let rows = self.rows.entry(lake_partition).or_default();
                let before = rows.memory();
                self.inexact_numbers +=
                    tick.extra.as_deref().map_or(0, tick::inexact_numbers) as u64;
                self.runs += usize::from(rows.push(&tick, record.offset, kafka_timestamp));
                self.memory += rows.memory() - before;
                None
            }
            Err(reason) => {
                let letter = DeadLetter::new(record, reason);
                self.memory += letter.memory();
                self.runs += 1;
                self.dead_letters.push(letter);
                self.dead_letters.last()
            }
        }
    }

    /// Returns the first and the last offset, or `None` for an empty batch.
    pub fn range(&self) -> Option<(i64, i64)> {
        self.last.map(|last| (self.first, last))
    }

    /// Returns the offset after the last record, or the first offset if there is none.
    pub fn next(&self) -> i64 {
        self.last.map_or(self.first, |last| last + 1)
    }

    /// Returns the time at which the first record came.
    pub fn opened_at(&self) -> Option<Instant> {
        self.opened_at
    }

    /// Returns the first record's Kafka timestamp in milliseconds.
    pub fn oldest_ms(&self) -> Option<i64> {
        self.oldest_ms
    }

    /// Returns the number of records, dead letters and tombstones included.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Returns the number of dead letters.
    pub fn dead_letters(&self) -> usize {
        self.dead_letters.len()
    }

    /// Returns the bytes of all record values.
    pub fn value_bytes(&self) -> u64 {
        self.value_bytes
    }

    /// Returns how many numbers of its rows a double cannot hold. Their digits are in
    /// `extra`.
    pub fn inexact_numbers(&self) -> u64 {
        self.inexact_numbers
    }

    /// Returns the approximate number of bytes of memory that the batch takes.
    pub fn memory(&self) -> u64 {
        self.memory
    }

    /// Returns the number of objects that the batch would give now.
    pub fn object_count(&self) -> usize {
        self.rows.len() + usize::from(!self.dead_letters.is_empty())
    }

    /// Returns the number of offset runs that its manifest would have now.
    pub fn runs(&self) -> usize {
        self.runs
    }

    /// Returns the batch's manifest and its objects in the manifest's order: one for each
    /// lake partition, and one for the dead letters. The same batch gives the same bytes.
    ///
    /// # Errors
    /// An encoder refused. That is a fault in ticklake, not in the data.
    pub fn seal(
        &self,
        format: Format,
        topic_id: &str,
        attempt: &str,
    ) -> Result<(Manifest, Vec<Object>), EncodeError> {
        let source = Source {
            topic: &self.topic,
            partition: self.partition,
            range: (self.first, self.last.unwrap_or(self.first)),
            attempt,
            lost_below: None,
        };
        let mut objects = Vec::with_capacity(self.object_count());
        let mut offsets = Vec::with_capacity(self.object_count());
        for (lake_partition, rows) in &self.rows {
            let key = source.key(Kind::Data(format), *lake_partition)?;
            offsets.push(rows.offsets());
            let mut draft = Draft::new(key)?;
            draft.rows(&source, rows)?;
            objects.push(draft.finish(&source, 0)?);
        }
        if let Some(first) = self.dead_letters.first() {
            let lake_partition =
                LakePartition::of(first.kafka_timestamp(), self.rules.routing.granularity);
            let mut runs = OffsetRuns::default();
            self.dead_letters
                .iter()
                .for_each(|letter| runs.push(letter.offset));
            offsets.push(runs);
            let mut draft = Draft::new(source.key(Kind::DeadLetter, lake_partition)?)?;
            draft.dead_letters(&source, &self.dead_letters)?;
            objects.push(draft.finish(&source, 0)?);
        }
        let manifest = source.manifest(
            topic_id,
            objects.iter().zip(offsets),
            self.tombstones.clone(),
        );
        Ok((manifest, objects))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        Rules {
            routing: Routing::default(),
            max_record_bytes: 100,
            skip_tombstones: false,
        }
    }

    fn push(batch: &mut Batch, offset: i64, timestamp_ms: Option<i64>, value: &[u8]) {
        batch.push(
            &Record {
                offset,
                timestamp_ms,
                value: Some(value),
                ..Record::default()
            },
            Instant::now(),
        );
    }

    #[test]
    fn every_record_is_in_exactly_one_object() {
        let hour = 3_600_000;
        let mut batch = Batch::new("ticks", 3, 9, rules());
        let tick = br#"{"symbol":"A","event_time":0,"price":1}"#;
        push(&mut batch, 10, Some(hour - 1), tick);
        push(&mut batch, 11, Some(hour), tick);
        push(&mut batch, 12, None, tick);
        push(&mut batch, 13, Some(i64::MAX), tick);
        push(&mut batch, 14, Some(hour), b"\xff poison");
        push(&mut batch, 15, Some(hour), &[b' '; 101]);
        let (manifest, objects) = batch.seal(Format::Json, "id", "attempt").expect("objects");
        let found: Vec<_> = objects
            .iter()
            .map(|object| (object.key.to_string(), object.metadata.rows))
            .collect();
        let name = "ticks-3-00000000000000000009-00000000000000000015.json.gz";
        assert_eq!(
            found,
            [
                (format!("ticks/dt=1970-01-01/hr=00/{name}"), 1),
                (format!("ticks/dt=1970-01-01/hr=01/{name}"), 1),
                (format!("ticks/dt=unknown/hr=unknown/{name}"), 2),
                (format!("dead-letter/dt=1970-01-01/hr=01/{name}"), 2),
            ]
        );
        let offsets: Vec<Vec<i64>> = manifest
            .objects
            .iter()
            .map(|object| object.offsets.offsets().collect())
            .collect();
        assert_eq!(offsets, [vec![10], vec![11], vec![12, 13], vec![14, 15]]);
        assert_eq!(
            (manifest.first, manifest.last, manifest.absent()),
            (9, 15, 1)
        );
        assert!(
            objects
                .iter()
                .all(|object| object.metadata.attempt.as_deref() == Some("attempt"))
        );
    }

    #[test]
    fn numbers_that_a_double_does_not_hold_are_counted() {
        let mut batch = Batch::new("ticks", 0, 0, rules());
        let exact = concat!(
            r#"{"symbol":"A","event_time":0,"price":0.1,"#,
            r#""volume":9007199254740992,"x":9007199254740993}"#,
        );
        push(&mut batch, 0, None, exact.as_bytes());
        assert_eq!(batch.inexact_numbers(), 0);
        let inexact = concat!(
            r#"{"symbol":"A","event_time":0,"price":0.1000000000000000055,"#,
            r#""volume":9007199254740993}"#,
        );
        push(&mut batch, 1, None, inexact.as_bytes());
        assert_eq!(batch.inexact_numbers(), 2);
    }

    #[test]
    fn event_time_routes_on_request() {
        let routing = Routing {
            by: PartitionBy::EventTime,
            granularity: Granularity::Day,
        };
        let mut batch = Batch::new("ticks", 0, 0, Rules { routing, ..rules() });
        push(
            &mut batch,
            0,
            Some(0),
            br#"{"symbol":"A","event_time":"2010-01-08T23:59:59Z","price":1}"#,
        );
        let (_, objects) = batch.seal(Format::Csv, "id", "attempt").expect("objects");
        assert!(
            objects[0]
                .key
                .to_string()
                .starts_with("ticks/dt=2010-01-08/hr=all/")
        );
    }

    #[test]
    fn tombstones_are_dead_letters_or_left_out_on_request() {
        let seal = |skip_tombstones| {
            let mut batch = Batch::new(
                "ticks",
                0,
                0,
                Rules {
                    skip_tombstones,
                    ..rules()
                },
            );
            batch.push(
                &Record {
                    offset: 0,
                    ..Record::default()
                },
                Instant::now(),
            );
            push(&mut batch, 1, None, b"");
            batch
                .seal(Format::Json, "id", "attempt")
                .expect("objects")
                .0
        };
        assert_eq!(
            (seal(false).objects.len(), seal(false).tombstones.count()),
            (1, 0)
        );
        assert_eq!(
            (
                seal(true).objects.len(),
                seal(true).tombstones.count(),
                seal(true).absent()
            ),
            (0, 2, 0)
        );
    }
}

use std::collections::BTreeMap;
use std::time::Instant;

use tick::{EventTime, Tick};

use crate::encode::{self, EncodeError};
use crate::{DeadLetter, Format, Granularity, Kind, LakePartition, ObjectKey, ObjectMetadata, PartitionBy, Record, Row};

/// How rows find their lake partition.
#[derive(Debug, Clone, Copy, Default)]
pub struct Routing {
    /// Which time decides.
    pub by: PartitionBy,
    /// How long a lake partition is.
    pub granularity: Granularity,
}

/// The records of a contiguous offset range of one Kafka partition, validated and routed as they come.
///
/// Every record of the range is in it exactly once, as a row or as a dead letter. Offsets that the log does not have (transaction markers) are the only
/// holes.
#[derive(Debug, Clone)]
pub struct Batch {
    topic: String,
    partition: i32,
    routing: Routing,
    range: Option<(i64, i64)>,
    opened_at: Option<Instant>,
    rows: BTreeMap<LakePartition, Vec<Row>>,
    dead_letters: Vec<DeadLetter>,
    row_count: u64,
    bytes: u64,
}

/// An object to be put into the lake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Where it goes.
    pub key: ObjectKey,
    /// What its metadata says.
    pub metadata: ObjectMetadata,
    /// Its bytes.
    pub body: Vec<u8>,
}

impl Batch {
    /// Returns an empty batch of a topic's partition.
    pub fn new(topic: &str, partition: i32, routing: Routing) -> Self {
        Self {
            topic: topic.to_owned(),
            partition,
            routing,
            range: None,
            opened_at: None,
            rows: BTreeMap::new(),
            dead_letters: Vec::new(),
            row_count: 0,
            bytes: 0,
        }
    }

    /// Adds the next record; returns the dead letter that it became where it is no tick.
    pub fn push(&mut self, record: &Record<'_>, now: Instant) -> Option<&DeadLetter> {
        let first = self.range.map_or(record.offset, |(first, _)| first);
        self.range = Some((first, record.offset));
        self.opened_at.get_or_insert(now);
        self.row_count += 1;
        self.bytes += record.value.map_or(0, |value| value.len() as u64);
        match Tick::from_json(record.value.unwrap_or_default()) {
            Ok(tick) => {
                let kafka_timestamp = record.timestamp_ms.and_then(EventTime::from_millis);
                let time = match self.routing.by {
                    PartitionBy::KafkaTimestamp => kafka_timestamp,
                    PartitionBy::EventTime => Some(tick.event_time),
                };
                let lake_partition = LakePartition::of(time, self.routing.granularity);
                self.rows.entry(lake_partition).or_default().push(Row { tick, offset: record.offset, kafka_timestamp });
                None
            }
            Err(reason) => {
                self.dead_letters.push(DeadLetter::new(record, reason.to_string()));
                self.dead_letters.last()
            }
        }
    }

    /// Returns the first and the last offset, or `None` for an empty batch.
    pub fn range(&self) -> Option<(i64, i64)> {
        self.range
    }

    /// Returns the time of the first record.
    pub fn opened_at(&self) -> Option<Instant> {
        self.opened_at
    }

    /// Returns the number of records, dead letters included.
    pub fn rows(&self) -> u64 {
        self.row_count
    }

    /// Returns the number of dead letters.
    pub fn dead_letters(&self) -> usize {
        self.dead_letters.len()
    }

    /// Returns the bytes of record values held.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the batch's objects: one for each lake partition, and one for its dead letters. The same batch gives the same bytes.
    ///
    /// # Errors
    /// An encoder refused, which names a fault in ticklake and not in the data.
    pub fn objects(&self, format: Format) -> Result<Vec<Object>, EncodeError> {
        let Some((first, last)) = self.range else { return Ok(Vec::new()) };
        let key = |kind, lake_partition| {
            ObjectKey::new(kind, lake_partition, &self.topic, self.partition, first, last).ok_or_else(|| EncodeError::Key {
                topic: self.topic.clone(),
                partition: self.partition,
                first,
                last,
            })
        };
        let mut objects = Vec::with_capacity(self.rows.len() + 1);
        for (lake_partition, rows) in &self.rows {
            let times = rows.iter().map(|row| row.tick.event_time);
            objects.push(Object {
                key: key(Kind::Data(format), *lake_partition)?,
                metadata: ObjectMetadata { rows: rows.len() as u64, event_times: times.clone().min().zip(times.max()) },
                body: encode::rows(format, self.partition, rows)?,
            });
        }
        if let Some(first_letter) = self.dead_letters.first() {
            let lake_partition = LakePartition::of(first_letter.kafka_timestamp(), self.routing.granularity);
            objects.push(Object {
                key: key(Kind::DeadLetter, lake_partition)?,
                metadata: ObjectMetadata { rows: self.dead_letters.len() as u64, event_times: None },
                body: encode::dead_letters(&self.topic, self.partition, &self.dead_letters)?,
            });
        }
        Ok(objects)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(batch: &mut Batch, offset: i64, timestamp_ms: Option<i64>, value: &[u8]) {
        batch.push(&Record { offset, timestamp_ms, value: Some(value), ..Record::default() }, Instant::now());
    }

    #[test]
    fn every_record_is_in_exactly_one_object() {
        let hour = 3_600_000;
        let mut batch = Batch::new("ticks", 3, Routing::default());
        let tick = br#"{"symbol":"A","event_time":0,"price":1}"#;
        push(&mut batch, 10, Some(hour - 1), tick);
        push(&mut batch, 11, Some(hour), tick);
        push(&mut batch, 12, None, tick);
        push(&mut batch, 13, Some(i64::MAX), tick);
        push(&mut batch, 14, Some(hour), b"\xff poison");
        let objects = batch.objects(Format::Json).expect("objects");
        let found: Vec<_> = objects.iter().map(|object| (object.key.to_string(), object.metadata.rows)).collect();
        let name = "ticks-3-00000000000000000010-00000000000000000014.json.gz";
        assert_eq!(
            found,
            [
                (format!("ticks/dt=1970-01-01/hr=00/{name}"), 1),
                (format!("ticks/dt=1970-01-01/hr=01/{name}"), 1),
                (format!("ticks/dt=unknown/hr=unknown/{name}"), 2),
                (format!("dead-letter/dt=1970-01-01/hr=01/{name}"), 1),
            ]
        );
    }

    #[test]
    fn event_time_routes_on_request() {
        let mut batch = Batch::new("ticks", 0, Routing { by: PartitionBy::EventTime, granularity: Granularity::Day });
        push(&mut batch, 0, Some(0), br#"{"symbol":"A","event_time":"2010-01-08T23:59:59Z","price":1}"#);
        let objects = batch.objects(Format::Csv).expect("objects");
        assert!(objects[0].key.to_string().starts_with("ticks/dt=2010-01-08/hr=all/"));
    }
}

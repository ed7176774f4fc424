use std::time::{Duration, Instant};

use crate::Batch;

/// Maximum number of objects of a batch, so that its manifest stays small and its seal
/// short.
const MAX_OBJECTS: usize = 2_000;
/// Maximum number of runs of offsets in a manifest. Each has about 7 bytes, so that with
/// the objects' keys the manifest stays below 1 MiB.
const MAX_RUNS: usize = 80_000;

/// The limits at which a batch is sealed.
#[derive(Debug, Clone, Copy)]
pub struct SealPolicy {
    /// Maximum time from a batch's first record to its seal, even if no other record
    /// follows (G2).
    pub max_age: Duration,
    /// Maximum bytes of a batch's objects, by estimate.
    pub max_bytes: u64,
    /// Maximum number of records in a batch, dead letters included.
    pub max_rows: u64,
}

/// The cause of a batch's seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealCause {
    /// `max_age` has passed.
    Age,
    /// `max_bytes` is reached.
    Bytes,
    /// `max_rows` is reached.
    Rows,
    /// The manifest would grow too large: too many objects, or offsets too mixed.
    Manifest,
    /// The process is near its memory limit, and this batch is the largest (G3).
    Memory,
    /// The next offsets of the log are missing: they were lost, or the log has changed.
    Lost,
    /// The consumer stops or loses the partition.
    Leaving,
}

impl SealCause {
    /// Returns the cause in one word, for logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Bytes => "bytes",
            Self::Rows => "rows",
            Self::Manifest => "manifest",
            Self::Memory => "memory",
            Self::Lost => "lost",
            Self::Leaving => "leaving",
        }
    }
}

/// Ratio of encoded bytes to bytes of record values, learned from sealed batches.
#[derive(Debug, Clone, Copy)]
pub struct EncodedRatio(f64);

impl Default for EncodedRatio {
    /// Before the first seal it is gzip's ratio for ticks, which is higher than
    /// Parquet's.
    fn default() -> Self {
        Self(0.2)
    }
}

impl EncodedRatio {
    /// Learns from a sealed batch.
    pub fn learn(&mut self, value_bytes: u64, encoded_bytes: u64) {
        // Small batches are mostly headers.
        if value_bytes >= 1 << 20 {
            self.0 = encoded_bytes as f64 / value_bytes as f64;
        }
    }

    /// Returns the estimated bytes of a batch's objects.
    pub fn estimate(self, batch: &Batch) -> u64 {
        (batch.value_bytes() as f64 * self.0) as u64
    }
}

impl SealPolicy {
    /// Returns the cause for which to seal the batch at `now`, or `None` if it may still
    /// grow.
    pub fn due(&self, batch: &Batch, ratio: EncodedRatio, now: Instant) -> Option<SealCause> {
        if batch.count() >= self.max_rows {
            Some(SealCause::Rows)
        } else if ratio.estimate(batch) >= self.max_bytes {
            Some(SealCause::Bytes)
        } else if batch.object_count() >= MAX_OBJECTS || batch.runs() >= MAX_RUNS {
            Some(SealCause::Manifest)
        } else {
            self.deadline(batch)
                .is_some_and(|deadline| now >= deadline)
                .then_some(SealCause::Age)
        }
    }

    /// Returns the time at which the batch is sealed at the latest, or `None` if it is
    /// empty.
    pub fn deadline(&self, batch: &Batch) -> Option<Instant> {
        Some(batch.opened_at()? + self.max_age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Format, Granularity, PartitionBy, Record, Routing, Rules};

    fn batch(by: PartitionBy, first: i64) -> Batch {
        let routing = Routing {
            by,
            granularity: Granularity::Hour,
        };
        Batch::new(
            "t",
            0,
            first,
            Rules {
                routing,
                max_record_bytes: 1 << 20,
                skip_tombstones: false,
            },
        )
    }

    #[test]
    fn a_batch_is_due_by_rows_bytes_or_age_and_never_empty() {
        let now = Instant::now();
        let ratio = EncodedRatio::default();
        let policy = SealPolicy {
            max_age: Duration::from_secs(10),
            max_bytes: 20,
            max_rows: 2,
        };
        let mut batch = batch(PartitionBy::KafkaTimestamp, 0);
        assert_eq!(
            policy.due(&batch, ratio, now + Duration::from_secs(99)),
            None
        );
        batch.push(
            &Record {
                offset: 0,
                value: Some(b"x"),
                ..Record::default()
            },
            now,
        );
        assert_eq!(policy.due(&batch, ratio, now), None);
        assert_eq!(
            policy.due(&batch, ratio, now + Duration::from_secs(10)),
            Some(SealCause::Age)
        );
        batch.push(
            &Record {
                offset: 1,
                value: Some(&[b'x'; 100]),
                ..Record::default()
            },
            now,
        );
        assert_eq!(policy.due(&batch, ratio, now), Some(SealCause::Rows));
        let policy = SealPolicy {
            max_rows: 3,
            ..policy
        };
        assert_eq!(policy.due(&batch, ratio, now), Some(SealCause::Bytes));
        // Earlier seals show how many bytes of objects these records give.
        let mut learned = ratio;
        learned.learn(1 << 20, 1 << 17);
        assert_eq!(
            (learned.estimate(&batch), policy.due(&batch, learned, now)),
            (12, None)
        );
        learned.learn(100, 100);
        assert_eq!(
            learned.estimate(&batch),
            12,
            "a small batch is mostly headers"
        );
    }

    /// A replay by event time, in which each record belongs to another hour.
    #[test]
    fn a_batch_is_due_before_its_manifest_passes_a_mebibyte() {
        let now = Instant::now();
        let policy = SealPolicy {
            max_age: Duration::from_secs(10),
            max_bytes: u64::MAX,
            max_rows: u64::MAX,
        };
        for hours in [2, 100_000] {
            let mut offset = 1_000_000_000_000;
            let mut batch = batch(PartitionBy::EventTime, offset);
            while policy.due(&batch, EncodedRatio::default(), now).is_none() {
                let value = format!(
                    r#"{{"symbol":"A","event_time":{},"price":1}}"#,
                    (offset % hours) * 3_600_000
                );
                batch.push(
                    &Record {
                        offset,
                        value: Some(value.as_bytes()),
                        ..Record::default()
                    },
                    now,
                );
                offset += 1;
            }
            let (manifest, _) = batch.seal(Format::Json, "id", "attempt").expect("objects");
            let size = manifest.to_json().expect("JSON").len();
            assert!(
                (200_000..=1 << 20).contains(&size),
                "{hours} hours: {size} bytes"
            );
        }
    }
}

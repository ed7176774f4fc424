use std::time::{Duration, Instant};

use crate::Batch;

/// When a batch is full.
#[derive(Debug, Clone, Copy)]
pub struct SealPolicy {
    /// Longest time from a batch's first record to its seal, also when no other record follows (G2).
    pub max_age: Duration,
    /// Most bytes of record values in a batch.
    pub max_bytes: u64,
    /// Most rows in a batch, dead letters included.
    pub max_rows: u64,
}

/// What a batch was sealed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealCause {
    /// `max_age` has passed.
    Age,
    /// `max_bytes` is reached.
    Bytes,
    /// `max_rows` is reached.
    Rows,
    /// The consumer stops or loses the partition.
    Leaving,
}

impl SealCause {
    /// Returns the cause in one word, for logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Bytes => "bytes",
            Self::Rows => "rows",
            Self::Leaving => "leaving",
        }
    }
}

impl SealPolicy {
    /// Returns why the batch is to be sealed at `now`, or `None` while it may go on filling.
    pub fn due(&self, batch: &Batch, now: Instant) -> Option<SealCause> {
        if batch.rows() >= self.max_rows {
            Some(SealCause::Rows)
        } else if batch.bytes() >= self.max_bytes {
            Some(SealCause::Bytes)
        } else {
            self.deadline(batch).is_some_and(|deadline| now >= deadline).then_some(SealCause::Age)
        }
    }

    /// Returns when the batch is sealed whatever comes, or `None` while it is empty.
    pub fn deadline(&self, batch: &Batch) -> Option<Instant> {
        Some(batch.opened_at()? + self.max_age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Record, Routing};

    #[test]
    fn a_batch_is_due_by_rows_bytes_or_age_and_never_empty() {
        let now = Instant::now();
        let policy = SealPolicy { max_age: Duration::from_secs(10), max_bytes: 100, max_rows: 2 };
        let mut batch = Batch::new("t", 0, Routing::default());
        assert_eq!(policy.due(&batch, now + Duration::from_secs(99)), None);
        batch.push(&Record { offset: 0, value: Some(b"x"), ..Record::default() }, now);
        assert_eq!(policy.due(&batch, now), None);
        assert_eq!(policy.due(&batch, now + Duration::from_secs(10)), Some(SealCause::Age));
        batch.push(&Record { offset: 1, value: Some(&[b'x'; 100]), ..Record::default() }, now);
        assert_eq!(policy.due(&batch, now), Some(SealCause::Rows));
        assert_eq!(SealPolicy { max_rows: 3, ..policy }.due(&batch, now), Some(SealCause::Bytes));
    }
}

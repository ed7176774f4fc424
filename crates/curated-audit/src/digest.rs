use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::read::Row;

/// A count of rows, and the sum of their digests: equal for the same rows in any order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) rows: u64,
    digests: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, row: &Row<'_>) {
        self.rows += 1;
        self.digests = self.digests.wrapping_add(digest(row));
    }
}

/// Returns the digest of all values of a row. It changes with every bit of every value,
/// so `-0.0` is not `0.0`.
pub(crate) fn digest(row: &Row<'_>) -> u64 {
    let Row {
        symbol,
        event_time,
        price,
        numbers,
        extra,
        partition,
        offset,
        kafka_timestamp,
    } = row;
    let mut hasher = DefaultHasher::new();
    symbol.hash(&mut hasher);
    event_time.hash(&mut hasher);
    price.to_bits().hash(&mut hasher);
    numbers
        .map(|number| number.map(f64::to_bits))
        .hash(&mut hasher);
    extra.hash(&mut hasher);
    partition.hash(&mut hasher);
    offset.hash(&mut hasher);
    kafka_timestamp.hash(&mut hasher);
    hasher.finish()
}

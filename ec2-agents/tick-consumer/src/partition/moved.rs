use std::time::Instant;

/// Where a partition stood when it was seen to move last, and when that was. Reading that
/// begins again at the same offset has not moved.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moved {
    pub(super) next: i64,
    pub(super) at: Instant,
}

impl Moved {
    /// Returns the state of a partition that has not moved yet.
    pub(crate) fn never() -> Self {
        Self {
            next: -1,
            at: Instant::now(),
        }
    }

    /// Notes where the partition begins to be read.
    pub(super) fn begins(&mut self, next: i64) {
        if next > self.next {
            *self = Self {
                next,
                at: Instant::now(),
            };
        }
    }
}

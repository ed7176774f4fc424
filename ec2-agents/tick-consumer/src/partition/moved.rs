use std::time::Instant;

/// The offset to which a partition moved last, and the time of that. Reading that begins
/// again at the same offset has not moved.
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

    /// Notes the offset at which reading begins.
    pub(super) fn begins(&mut self, next: i64) {
        if next > self.next {
            *self = Self {
                next,
                at: Instant::now(),
            };
        }
    }
}

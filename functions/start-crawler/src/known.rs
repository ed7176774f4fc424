use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lake_layout::LakePartition;
use tokio::time::Instant;

/// How long a partition counts as present after it was found. The function notices a
/// dropped partition after this time at the latest.
const MAX_AGE: Duration = Duration::from_secs(60);

/// The partitions that a warm function has recently found in the catalog. It remembers
/// only present partitions and looks the missing ones up each time.
#[derive(Debug, Default)]
pub(crate) struct Known {
    seen: BTreeMap<LakePartition, Instant>,
}

impl Known {
    /// Returns the partitions seen within the last minute, and forgets the others.
    pub(crate) fn fresh(&mut self, now: Instant) -> BTreeSet<LakePartition> {
        self.seen.retain(|_, at| now.duration_since(*at) < MAX_AGE);
        self.seen.keys().copied().collect()
    }

    /// Remembers the partitions that a look-up at `asked` has found.
    pub(crate) fn learn(&mut self, found: impl IntoIterator<Item = LakePartition>, asked: Instant) {
        self.seen
            .extend(found.into_iter().map(|partition| (partition, asked)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_known_for_less_than_a_minute() {
        let partition = LakePartition::parse("2026-11-21", "05").expect("a partition");
        let mut known = Known::default();
        let asked = Instant::now();
        known.learn([partition], asked);
        assert!(
            known
                .fresh(asked + MAX_AGE - Duration::from_millis(1))
                .contains(&partition)
        );
        assert!(known.fresh(asked + MAX_AGE).is_empty());
    }
}

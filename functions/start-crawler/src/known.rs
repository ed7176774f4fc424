use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lake_layout::LakePartition;
use tokio::time::Instant;

/// How long the catalog's word on a partition is taken: one that was dropped is missed
/// after so long at most.
const KNOWN_FOR: Duration = Duration::from_secs(60);

/// The partitions that a warm function has seen in the catalog of late. Only presence is
/// remembered: what is missing is looked up again each time.
#[derive(Debug, Default)]
pub(crate) struct Known {
    seen: BTreeMap<LakePartition, Instant>,
}

impl Known {
    /// Returns the partitions seen within the last minute, and forgets the others.
    pub(crate) fn fresh(&mut self, now: Instant) -> BTreeSet<LakePartition> {
        self.seen
            .retain(|_, at| now.duration_since(*at) < KNOWN_FOR);
        self.seen.keys().copied().collect()
    }

    /// Remembers partitions that a look-up, asked at `asked`, has found.
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
        let (mut known, asked) = (Known::default(), Instant::now());
        known.learn([partition], asked);
        assert!(
            known
                .fresh(asked + KNOWN_FOR - Duration::from_millis(1))
                .contains(&partition)
        );
        assert!(known.fresh(asked + KNOWN_FOR).is_empty());
    }
}

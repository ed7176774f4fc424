use std::collections::BTreeSet;

use lake::LakePartition;
use object_event::Message;

/// What a message asks of the catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Want {
    /// That it covers these partitions; none, where the message names no object in a partition below `ticks/`.
    Partitions(BTreeSet<LakePartition>),
    /// Nothing that can be understood.
    Unreadable(String),
}

impl Want {
    pub(crate) fn of(message: &Message) -> Self {
        match &message.content {
            Ok(decoded) => {
                let keys = decoded.created.iter().map(|object| object.key.as_str()).filter(|key| key.starts_with("ticks/"));
                Self::Partitions(keys.filter_map(LakePartition::of_key).collect())
            }
            Err(error) => Self::Unreadable(error.to_string()),
        }
    }

    pub(crate) fn partitions(&self) -> impl Iterator<Item = &LakePartition> {
        match self {
            Self::Partitions(partitions) => Some(partitions),
            Self::Unreadable(_) => None,
        }
        .into_iter()
        .flatten()
    }
}

/// What becomes of a batch.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// How many messages are done with.
    pub(crate) covered: usize,
    /// The messages that wait for a crawl, by their place in the batch.
    pub(crate) deferred: Vec<usize>,
    /// The messages that cannot be read, and why.
    pub(crate) failed: Vec<(usize, String)>,
    /// Whether a crawl is due.
    pub(crate) start_crawl: bool,
}

impl Plan {
    /// Returns the plan for messages, given the partitions that the catalog knows.
    pub(crate) fn new(wants: &[Want], known: &BTreeSet<LakePartition>) -> Self {
        let mut plan = Self::default();
        for (place, want) in wants.iter().enumerate() {
            match want {
                Want::Unreadable(reason) => plan.failed.push((place, reason.clone())),
                Want::Partitions(partitions) if partitions.is_subset(known) => plan.covered += 1,
                Want::Partitions(_) => plan.deferred.push(place),
            }
        }
        plan.start_crawl = !plan.deferred.is_empty();
        plan
    }

    /// Returns the plan where nothing is known of the catalog: whoever asks for a partition waits, no crawl is started blindly.
    pub(crate) fn look_up_failed(wants: &[Want]) -> Self {
        Self { start_crawl: false, ..Self::new(wants, &BTreeSet::new()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(hr: &str) -> LakePartition {
        LakePartition::parse("2026-11-21", hr).expect("a partition")
    }

    #[test]
    fn only_messages_of_unknown_partitions_wait_and_ask_for_one_crawl() {
        let wants = [
            Want::Partitions([partition("05")].into()),
            Want::Partitions([partition("05"), partition("06")].into()),
            Want::Unreadable("bad".into()),
            Want::Partitions(BTreeSet::new()),
        ];
        let plan = Plan::new(&wants, &[partition("05")].into());
        assert_eq!(plan, Plan { covered: 2, deferred: vec![1], failed: vec![(2, "bad".into())], start_crawl: true });
        assert!(!Plan::new(&wants[..1], &[partition("05")].into()).start_crawl);
        assert_eq!(Plan::look_up_failed(&wants[..2]), Plan { deferred: vec![0, 1], ..Plan::default() });
    }
}

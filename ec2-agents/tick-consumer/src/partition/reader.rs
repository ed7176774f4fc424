use std::sync::Arc;

use lake::{Batch, Rules, SealPolicy};
use tokio_util::sync::CancellationToken;

use super::moved::Moved;
use crate::lake_bucket::LakeBucket;
use crate::membership::TickConsumer;
use crate::memory::Memory;
use crate::repairs::Repairs;
use crate::sealer::Sealer;
use crate::topic::Topic;

pub(crate) type Queue = kafka_native::PartitionQueue<TickConsumer>;

/// Asks a partition's task to end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop {
    /// Seal the open batch, then end.
    pub(crate) finish: CancellationToken,
    /// Drop the batches that are not sealed yet, and end.
    pub(crate) give_up: CancellationToken,
}

/// Reads one partition into batches: the next one fills while at most one is being
/// sealed.
pub(crate) struct PartitionReader {
    pub(crate) sealer: Sealer,
    pub(crate) policy: SealPolicy,
    pub(crate) rules: Rules,
    pub(crate) repairs: Repairs,
    pub(crate) bucket: LakeBucket,
    pub(crate) topic: Arc<Topic>,
    pub(crate) memory: Arc<Memory>,
    pub(crate) stop: Stop,
    pub(crate) moved: Moved,
    /// The present attempt to land the partition has got as far as reading.
    pub(crate) has_read: bool,
}

impl PartitionReader {
    pub(super) fn empty_batch(&self, next: i64) -> Batch {
        Batch::new(&self.sealer.topic, self.sealer.partition, next, self.rules)
    }
}

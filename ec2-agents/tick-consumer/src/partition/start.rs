use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use rdkafka::consumer::Consumer as _;
use rdkafka::{Offset, TopicPartitionList};
use tracing::{info, warn};

use super::reader::{PartitionReader, Queue};
use super::reading::End;
use crate::landing::Landing;
use crate::sealer::Sealer;

/// How long librdkafka may take to begin to read at another offset.
const SEEK_TIMEOUT: Duration = Duration::from_secs(5);
/// Time between two attempts of it.
const SEEK_RETRY: Duration = Duration::from_millis(20);

impl PartitionReader {
    /// Lands batches until stopped.
    ///
    /// # Errors
    /// The partition cannot be landed any further. All landed batches are whole.
    pub(super) async fn land(&mut self, queue: &mut Queue, landing: Landing) -> Result<()> {
        let finish = self.stop.finish.clone();
        let mut landing = Box::new(landing);
        loop {
            self.sealer.place.starting();
            let next = tokio::select! {
                biased;
                () = finish.cancelled() => return Ok(()),
                next = self.begin(&mut landing) => next?,
            };
            self.has_read = true;
            let ended = self.read(queue, landing, next).await;
            self.memory.set_open(self.sealer.partition, 0);
            match ended? {
                End::Stopped => return Ok(()),
                End::Again(before) => landing = before,
            }
        }
    }

    /// Finds the next offset to land and lets librdkafka read from there.
    async fn begin(&self, landing: &mut Landing) -> Result<i64> {
        let next = landing.establish().await?;
        self.compare_commit(next).await;
        let Sealer {
            consumer,
            topic,
            partition,
            ..
        } = &self.sealer;
        let mut position = TopicPartitionList::new();
        position.add_partition_offset(topic, *partition, Offset::Offset(next))?;
        let mut warned = Instant::now();
        loop {
            let (consumer, seek) = (Arc::clone(consumer), position.clone());
            let sought =
                tokio::task::spawn_blocking(move || consumer.seek_partitions(seek, SEEK_TIMEOUT))
                    .await?;
            match sought.and_then(|partitions| {
                partitions
                    .elements()
                    .iter()
                    .try_for_each(|element| element.error())
            }) {
                Ok(()) => break,
                // An assignment takes librdkafka a moment. One that it has dropped
                // without a word it makes again, and then this task is replaced.
                Err(error) if warned.elapsed() > SEEK_TIMEOUT => {
                    warned = Instant::now();
                    warn!(next, %error, "cannot read yet, trying again");
                }
                Err(_) => {}
            }
            tokio::time::sleep(SEEK_RETRY).await;
        }
        consumer.resume(&position)?;
        info!(event = "partition_reading", next, "reading");
        self.sealer.place.reading();
        Ok(next)
    }

    /// Kafka's committed offset is for lag tools only. It is looked at to inform an
    /// operator.
    async fn compare_commit(&self, next: i64) {
        let Sealer {
            consumer,
            topic,
            partition,
            ..
        } = &self.sealer;
        let mut asked = TopicPartitionList::new();
        asked.add_partition(topic, *partition);
        let consumer = Arc::clone(consumer);
        let committed =
            tokio::task::spawn_blocking(move || consumer.committed_offsets(asked, SEEK_TIMEOUT))
                .await;
        let Ok(Ok(committed)) = committed else { return };
        match committed.elements().first().map(|element| element.offset()) {
            Some(Offset::Offset(committed)) if committed > next => warn!(
                event = "commit_ahead",
                committed,
                next,
                "the group's offset is ahead of what has landed: somebody set it; it is ignored, \
                 and reading goes on where the lake ends"
            ),
            Some(Offset::Offset(committed)) if committed < next => info!(
                event = "commit_behind",
                committed,
                next,
                "the group's offset is behind what has landed (a commit was lost, or somebody set \
                 it); reading goes on where the lake ends"
            ),
            Some(Offset::Invalid) if next > 0 => {
                warn!(
                    event = "commit_missing",
                    next,
                    "the group has no offset any more (expired or deleted); reading goes on where \
                     the lake ends"
                );
            }
            _ => {}
        }
    }
}

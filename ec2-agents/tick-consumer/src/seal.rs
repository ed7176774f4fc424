//! The one module that seals: batch → objects → commit, in this order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use lake::{Batch, Format, Object, SealCause};
use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::{Offset, TopicPartitionList};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::group::TickConsumer;
use crate::lake_bucket::{LakeBucket, Put};

/// Waits between attempts to put an object: doubling from the first to the last, for as long as S3 is away.
const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// How long a commit may take; without it the batch has landed all the same.
const COMMIT: Duration = Duration::from_secs(5);

/// Seals batches of one partition, one at a time.
#[derive(Clone)]
pub(crate) struct Sealer {
    pub(crate) consumer: Arc<TickConsumer>,
    pub(crate) bucket: LakeBucket,
    pub(crate) format: Format,
    pub(crate) topic: String,
    pub(crate) partition: i32,
}

impl Sealer {
    /// Seals a batch. Returns once its objects exist and its offsets are committed, or when `give_up` fires: then the batch is dropped, nothing is
    /// committed, and its records are read again.
    ///
    /// # Errors
    /// The batch cannot be encoded (a fault of ours), or another object stands where one of its own has to go. Nothing behind it may be committed.
    pub(crate) async fn seal(self, batch: Batch, cause: SealCause, give_up: CancellationToken) -> Result<()> {
        let Some((first, last)) = batch.range() else { return Ok(()) };
        let started = Instant::now();
        let (rows, dead_letters, format) = (batch.rows(), batch.dead_letters(), self.format);
        let objects = tokio::task::spawn_blocking(move || batch.objects(format))
            .await
            .context("the encoder panicked")
            .and_then(|objects| Ok(objects?))
            .with_context(|| format!("cannot seal offsets {first} to {last} of partition {} of topic {:?}", self.partition, self.topic))?;
        for object in &objects {
            tokio::select! {
                created = self.create(object) => created?,
                () = give_up.cancelled() => {
                    warn!(topic = self.topic, partition = self.partition, first, last, "batch dropped, its records are still in Kafka and are read again");
                    return Ok(());
                }
            }
        }
        let committed = self.commit(last + 1).await;
        let bytes: usize = objects.iter().map(|object| object.body.len()).sum();
        info!(
            topic = self.topic,
            partition = self.partition,
            first,
            last,
            rows,
            dead_letters,
            objects = objects.len(),
            bytes,
            cause = cause.name(),
            seconds = started.elapsed().as_secs_f64(),
            "batch sealed"
        );
        if let Err(error) = committed {
            warn!(topic = self.topic, partition = self.partition, last, error = format!("{error:#}"), "batch landed but not committed");
        }
        Ok(())
    }

    /// Creates an object, however long it takes.
    async fn create(&self, object: &Object) -> Result<()> {
        let (mut wait, longest) = RETRY;
        loop {
            match self.bucket.create(object).await {
                Ok(Put::Created) => return Ok(()),
                Ok(Put::Exists) => {
                    info!(key = %object.key, "object is there already");
                    return Ok(());
                }
                Ok(Put::Foreign) => bail!(
                    "{} is in the lake already and holds something else: topic {:?} was deleted and made anew since it was landed, or another program writes there\n  land into another bucket (setting lake.bucket), or move the old objects away",
                    object.key,
                    self.topic
                ),
                Err(error) => {
                    warn!(error = format!("{error:#}"), retry_in_seconds = wait.as_secs_f64(), "cannot put the object, trying again")
                }
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(longest);
        }
    }

    async fn commit(&self, next: i64) -> Result<()> {
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(&self.topic, self.partition, Offset::Offset(next))?;
        let consumer = Arc::clone(&self.consumer);
        // Waits for the answer: leaving the group or giving the partition back right after must not lose the commit.
        let committed = tokio::task::spawn_blocking(move || consumer.commit(&offsets, CommitMode::Sync));
        Ok(tokio::time::timeout(COMMIT, committed).await.context("no answer from the group's coordinator")???)
    }
}

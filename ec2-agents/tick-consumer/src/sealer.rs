use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use lake::{Batch, Format, SealCause};
use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::group::TickConsumer;
use crate::landing::{Landing, Sealed, attempt};
use crate::memory::Charge;
use crate::status::{Landed, Place};

/// How long a commit on leaving may take; without it the batch has landed all the same.
const COMMIT: Duration = Duration::from_millis(1_500);

/// Turns batches of one partition into objects: encode → [`Landing::seal`] → tell Kafka,
/// for those who watch its lag.
#[derive(Clone)]
pub(crate) struct Sealer {
    pub(crate) consumer: Arc<TickConsumer>,
    pub(crate) format: Format,
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) place: Arc<Place>,
    /// Bounds how many batches are being encoded at the same time.
    pub(crate) encoders: Arc<Semaphore>,
}

/// A batch that was sealed, or not.
pub(crate) struct Outcome {
    pub(crate) landing: Landing,
    /// `None` where it was given up: its records are read again, by whoever has the
    /// partition then.
    pub(crate) sealed: Option<Sealed>,
    pub(crate) value_bytes: u64,
    pub(crate) encoded_bytes: u64,
}

impl Sealer {
    /// Seals a batch that is not empty. `give_up` ends it at any moment.
    ///
    /// # Errors
    /// The batch cannot be encoded (a fault of ours), or the partition cannot be landed
    /// any further.
    pub(crate) async fn seal(
        self,
        mut landing: Landing,
        batch: Batch,
        cause: SealCause,
        mut charge: Charge,
        give_up: CancellationToken,
    ) -> Result<Outcome> {
        let (first, last) = batch
            .range()
            .context("an empty batch has no manifest; this is a fault in tick-consumer")?;
        let (started, opened_at, oldest_ms) =
            (Instant::now(), batch.opened_at(), batch.oldest_ms());
        let (rows, dead_letters, value_bytes) =
            (batch.count(), batch.dead_letters(), batch.value_bytes());
        let inexact_numbers = batch.inexact_numbers();
        let (topic_id, attempt, format) = (landing.topic_id()?.to_owned(), attempt(), self.format);
        let permit = self.encoders.acquire().await?;
        let encoded = tokio::task::spawn_blocking(move || batch.seal(format, &topic_id, &attempt));
        let (manifest, objects) = encoded
            .await
            .context("the encoder panicked")?
            .with_context(|| {
                format!(
                    "cannot encode offsets {first} to {last} of partition {} of topic {:?}",
                    self.partition, self.topic
                )
            })?;
        drop(permit);
        let count = objects.len();
        let encoded_bytes: u64 = objects.iter().map(|object| object.body.len() as u64).sum();
        charge.set(encoded_bytes);
        let sealed = tokio::select! {
            biased;
            sealed = landing.seal(manifest, objects) => Some(sealed?),
            () = give_up.cancelled() => None,
        };
        let partition = self.partition;
        match sealed {
            None => warn!(
                partition,
                first,
                last,
                "batch given up: its records are in Kafka, and what was begun is completed by whoever is next"
            ),
            Some(Sealed::Other { next }) => {
                warn!(
                    partition,
                    first,
                    last,
                    next,
                    "another consumer landed these offsets; this batch is dropped"
                )
            }
            Some(Sealed::Own) => {
                self.commit(last + 1, cause).await;
                let freshness = oldest_ms.map(|oldest| now_ms() - oldest as f64);
                info!(
                    partition,
                    first,
                    last,
                    rows,
                    dead_letters,
                    objects = count,
                    bytes = encoded_bytes,
                    cause = cause.name(),
                    open_seconds = opened_at.map(|opened| (started - opened).as_secs_f64()),
                    seal_seconds = started.elapsed().as_secs_f64(),
                    freshness_seconds = freshness.map(|freshness| freshness / 1e3),
                    "batch sealed"
                );
                metrics::counter!("ticklake_sealed_batches_total", "cause" => cause.name())
                    .increment(1);
                metrics::counter!("ticklake_landed_records_total")
                    .increment(rows - dead_letters as u64);
                metrics::counter!("ticklake_dead_letters_total").increment(dead_letters as u64);
                metrics::counter!("ticklake_inexact_numbers_total").increment(inexact_numbers);
                metrics::counter!("ticklake_objects_total").increment(count as u64);
                metrics::counter!("ticklake_object_bytes_total").increment(encoded_bytes);
                metrics::histogram!("ticklake_seal_seconds")
                    .record(started.elapsed().as_secs_f64());
                if let Some(freshness) = freshness {
                    metrics::histogram!("ticklake_freshness_seconds").record(freshness / 1e3);
                }
                self.place.landed(Landed {
                    next: last + 1,
                    delay_seconds: freshness.map(|freshness| freshness / 1e3),
                });
            }
        }
        Ok(Outcome {
            landing,
            sealed,
            value_bytes,
            encoded_bytes,
        })
    }

    /// Tells Kafka how far the partition has landed. Only for tools that show lag:
    /// nothing here reads it back.
    async fn commit(&self, next: i64, cause: SealCause) {
        let mut offsets = TopicPartitionList::new();
        if let Err(error) =
            offsets.add_partition_offset(&self.topic, self.partition, Offset::Offset(next))
        {
            return warn!(partition = self.partition, %error, "batch landed but not committed");
        }
        let committed = match cause {
            // Waits for the answer: after it the consumer leaves the group, and may
            // commit no more.
            SealCause::Leaving => {
                let consumer = Arc::clone(&self.consumer);
                let commit = tokio::task::spawn_blocking(move || {
                    consumer.commit(&offsets, CommitMode::Sync)
                });
                match tokio::time::timeout(COMMIT, commit).await {
                    Ok(Ok(committed)) => committed.map_err(|error| error.to_string()),
                    Ok(Err(error)) => Err(error.to_string()),
                    Err(_) => Err("no answer from the group's coordinator".to_owned()),
                }
            }
            _ => self
                .consumer
                .commit(&offsets, CommitMode::Async)
                .map_err(|error| error.to_string()),
        };
        if let Err(error) = committed {
            warn!(
                partition = self.partition,
                next, error, "batch landed but not committed"
            );
        }
    }
}

fn now_ms() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |now| now.as_secs_f64() * 1e3)
}

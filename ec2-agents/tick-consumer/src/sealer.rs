use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use lake::{Batch, Format, Manifest, Object, SealCause};
use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::attempt::attempt;
use crate::landing::{Landing, Sealed};
use crate::membership::TickConsumer;
use crate::memory::Charge;
use crate::metrics;
use crate::status::{Landed, Place};

/// How long a commit on leaving may take; without it the batch has landed all the same.
const COMMIT_TIMEOUT: Duration = Duration::from_millis(1_500);

/// Turns batches of one partition into objects: encode → land → record.
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
    /// `None` if it was given up: its records are read again, by the partition's next
    /// consumer.
    pub(crate) sealed: Option<Sealed>,
    pub(crate) value_bytes: u64,
    pub(crate) encoded_bytes: u64,
}

/// The facts of a batch before it is encoded.
struct Summary {
    first: i64,
    last: i64,
    rows: u64,
    dead_letters: u64,
    value_bytes: u64,
    inexact_numbers: u64,
    oldest_ms: Option<i64>,
    cause: SealCause,
    open_seconds: Option<f64>,
    started: Instant,
}

impl Summary {
    fn of(batch: &Batch, cause: SealCause) -> Result<Self> {
        let (first, last) = batch
            .range()
            .context("an empty batch has no manifest; this is a fault in tick-consumer")?;
        let started = Instant::now();
        let opened_at = batch.opened_at();
        Ok(Self {
            first,
            last,
            rows: batch.count(),
            dead_letters: batch.dead_letters() as u64,
            value_bytes: batch.value_bytes(),
            inexact_numbers: batch.inexact_numbers(),
            oldest_ms: batch.oldest_ms(),
            cause,
            open_seconds: opened_at.map(|opened_at| (started - opened_at).as_secs_f64()),
            started,
        })
    }
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
        let summary = Summary::of(&batch, cause)?;
        let topic_id = landing.topic_id()?.to_owned();
        let (manifest, objects) = self.encode(batch, topic_id, &summary).await?;
        let count = objects.len() as u64;
        let encoded_bytes: u64 = objects.iter().map(|object| object.body.len() as u64).sum();
        charge.set(encoded_bytes);
        let sealed = land(&mut landing, manifest, objects, &give_up, &summary).await?;
        if sealed == Some(Sealed::Own) {
            self.commit(summary.last + 1, cause).await;
            self.record(&summary, count, encoded_bytes);
        }
        Ok(Outcome {
            landing,
            sealed,
            value_bytes: summary.value_bytes,
            encoded_bytes,
        })
    }

    /// Returns a batch's manifest and objects.
    async fn encode(
        &self,
        batch: Batch,
        topic_id: String,
        summary: &Summary,
    ) -> Result<(Manifest, Vec<Object>)> {
        let _permit = self.encoders.acquire().await?;
        let format = self.format;
        let encoded =
            tokio::task::spawn_blocking(move || batch.seal(format, &topic_id, &attempt()));
        encoded
            .await
            .context("the encoder panicked")?
            .with_context(|| {
                format!(
                    "cannot encode offsets {} to {} of partition {} of topic {:?}",
                    summary.first, summary.last, self.partition, self.topic
                )
            })
    }

    /// Records a batch that has landed, in the log, the metrics and the status.
    fn record(&self, summary: &Summary, objects: u64, encoded_bytes: u64) {
        let seal_seconds = summary.started.elapsed().as_secs_f64();
        let freshness_seconds = summary
            .oldest_ms
            .map(|oldest| (now_ms() - oldest as f64) / 1e3);
        info!(
            event = "batch_sealed",
            first = summary.first,
            last = summary.last,
            rows = summary.rows,
            dead_letters = summary.dead_letters,
            objects,
            bytes = encoded_bytes,
            cause = summary.cause.name(),
            open_seconds = summary.open_seconds,
            seal_seconds,
            freshness_seconds,
            "batch sealed"
        );
        metrics::SEALED_BATCHES.count(summary.cause.name());
        metrics::LANDED_RECORDS.count(summary.rows - summary.dead_letters);
        metrics::DEAD_LETTERS.count(summary.dead_letters);
        metrics::INEXACT_NUMBERS.count(summary.inexact_numbers);
        metrics::OBJECTS.count(objects);
        metrics::OBJECT_BYTES.count(encoded_bytes);
        metrics::SEAL_SECONDS.record(seal_seconds);
        if let Some(seconds) = freshness_seconds {
            metrics::FRESHNESS_SECONDS.record(seconds);
        }
        self.place.landed(Landed {
            next: summary.last + 1,
            delay_seconds: freshness_seconds,
        });
    }

    /// Tells Kafka how far the partition has landed. Only for tools that show lag:
    /// nothing here reads it back.
    async fn commit(&self, next: i64, cause: SealCause) {
        let mut offsets = TopicPartitionList::new();
        if let Err(error) =
            offsets.add_partition_offset(&self.topic, self.partition, Offset::Offset(next))
        {
            return warn!(%error, "batch landed but not committed");
        }
        let committed = match cause {
            // Waits for the answer: after it the consumer leaves the group, and may
            // commit no more.
            SealCause::Leaving => {
                let consumer = Arc::clone(&self.consumer);
                let commit = tokio::task::spawn_blocking(move || {
                    consumer.commit(&offsets, CommitMode::Sync)
                });
                match tokio::time::timeout(COMMIT_TIMEOUT, commit).await {
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
            warn!(next, error, "batch landed but not committed");
        }
    }
}

/// Lands a batch's manifest and objects; `None` if it was given up.
async fn land(
    landing: &mut Landing,
    manifest: Manifest,
    objects: Vec<Object>,
    give_up: &CancellationToken,
    summary: &Summary,
) -> Result<Option<Sealed>> {
    let Summary { first, last, .. } = *summary;
    let sealed = tokio::select! {
        biased;
        sealed = landing.seal(manifest, objects) => Some(sealed?),
        () = give_up.cancelled() => None,
    };
    match sealed {
        Some(Sealed::Own) => {}
        Some(Sealed::Other { next }) => warn!(
            event = "batch_overtaken",
            first, last, next, "another consumer landed these offsets; this batch is dropped"
        ),
        None => warn!(
            event = "batch_given_up",
            first,
            last,
            "batch given up: its records are in Kafka, and what was begun is completed by whoever \
             is next"
        ),
    }
    Ok(sealed)
}

fn now_ms() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |now| now.as_secs_f64() * 1e3)
}

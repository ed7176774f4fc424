use std::time::Instant;

use anyhow::{Context as _, Result};
use lake::{Batch, Record, Routing, SealCause, SealPolicy};
use rdkafka::Message as _;
use rdkafka::consumer::stream_consumer::StreamPartitionQueue;
use rdkafka::message::{BorrowedMessage, Headers as _};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::group::Membership;
use crate::seal::Sealer;

/// How a partition's task is told to end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop {
    /// Seal what is open, then end.
    pub(crate) finish: CancellationToken,
    /// Drop what is not sealed yet and end.
    pub(crate) give_up: CancellationToken,
}

/// Reads one partition into batches: the next one fills while at most one is being sealed.
pub(crate) struct PartitionReader {
    pub(crate) queue: StreamPartitionQueue<Membership>,
    pub(crate) sealer: Sealer,
    pub(crate) policy: SealPolicy,
    pub(crate) routing: Routing,
    pub(crate) stop: Stop,
}

impl PartitionReader {
    /// Runs until stopped.
    ///
    /// # Errors
    /// A batch could not be sealed; nothing behind it has been committed.
    pub(crate) async fn run(self) -> Result<()> {
        let mut batch = self.empty_batch();
        let mut sealing: Option<Sealing> = None;
        loop {
            let due = self.policy.due(&batch, Instant::now());
            if let (Some(cause), None) = (due, &sealing) {
                sealing = Some(self.seal(std::mem::replace(&mut batch, self.empty_batch()), cause));
                continue;
            }
            // A full batch behind one that is being sealed stops the reading: Kafka keeps the rest.
            let deadline = self.policy.deadline(&batch).filter(|_| due.is_none());
            tokio::select! {
                biased;
                () = self.stop.finish.cancelled() => break,
                sealed = finished(&mut sealing), if sealing.is_some() => sealed?,
                () = sleep_until(deadline) => {}
                message = self.queue.recv(), if due.is_none() => match message {
                    Ok(message) => self.push(&mut batch, &message),
                    Err(error) => warn!(topic = self.sealer.topic, partition = self.sealer.partition, %error, "cannot read, trying again"),
                },
            }
        }
        finished(&mut sealing).await?;
        if self.stop.give_up.is_cancelled() {
            return Ok(());
        }
        self.sealer.clone().seal(batch, SealCause::Leaving, self.stop.give_up.clone()).await
    }

    fn empty_batch(&self) -> Batch {
        Batch::new(&self.sealer.topic, self.sealer.partition, self.routing)
    }

    fn seal(&self, batch: Batch, cause: SealCause) -> Sealing {
        tokio::spawn(self.sealer.clone().seal(batch, cause, self.stop.give_up.clone()))
    }

    fn push(&self, batch: &mut Batch, message: &BorrowedMessage<'_>) {
        let headers: Vec<_> =
            message.headers().map(|headers| headers.iter().map(|header| (header.key, header.value)).collect()).unwrap_or_default();
        let record = Record {
            offset: message.offset(),
            timestamp_ms: message.timestamp().to_millis(),
            key: message.key(),
            value: message.payload(),
            headers: &headers,
        };
        if let Some(letter) = batch.push(&record, Instant::now()) {
            warn!(
                topic = self.sealer.topic,
                partition = self.sealer.partition,
                offset = letter.offset,
                reason = letter.reason,
                "dead letter"
            );
        }
    }
}

/// A batch being sealed.
type Sealing = JoinHandle<Result<()>>;

/// Waits for the batch in flight, if there is one.
async fn finished(sealing: &mut Option<Sealing>) -> Result<()> {
    let Some(task) = sealing else { return Ok(()) };
    let sealed = task.await.context("the sealer panicked");
    *sealing = None;
    sealed?
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

//! Batches that their consumer left incomplete, completed within this one's memory.
//!
//! One repair reads at a time in a process, and its memory is charged to [`Memory`]:
//! readers pause, and batches are sealed early, until there is room for it. It waits for
//! that room while it holds its turn. Nobody who waits for the turn holds memory: a
//! partition asks for it before it reads anything, and drops its records if its batch
//! turns out to be another's ([`crate::landing::Landing::seal`]). So those who hold
//! memory go on and give it back.

use std::collections::BTreeMap;
use std::sync::Arc;

use agent::KafkaSettings;
use lake::{How, Manifest, Object, Repair};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::log_error::LogError;
use crate::memory::{Charge, Memory};
use crate::read_back::LogRange;

/// The parts that all partitions of a process share to read the log once more.
#[derive(Clone)]
pub(crate) struct Repairs {
    kafka: KafkaSettings,
    memory: Arc<Memory>,
    repairing: Arc<Semaphore>,
    looking: Arc<Semaphore>,
}

/// How far a repair goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Every object whole, or an error.
    Whole,
    /// With the records that can be read and used; the rest is given up.
    Readable,
    /// Nothing is read, and all is given up.
    Nothing,
}

/// Objects that were made again, with their places in their manifest, and the memory that
/// they take.
pub(crate) struct Made {
    pub(crate) objects: BTreeMap<usize, Object>,
    /// The first offset that retention had left, if it had taken a part of the batch.
    pub(crate) lost_below: Option<i64>,
    pub(crate) charge: Charge,
}

impl Repairs {
    pub(crate) fn new(kafka: &KafkaSettings, memory: &Arc<Memory>) -> Self {
        let (repairing, looking) = (Arc::new(Semaphore::new(1)), Arc::new(Semaphore::new(1)));
        Self {
            kafka: kafka.clone(),
            memory: Arc::clone(memory),
            repairing,
            looking,
        }
    }

    /// Makes some of a manifest's objects again from the log: as many of `missing` as
    /// there is room for, one at least.
    ///
    /// # Errors
    /// The log cannot be read, or lacks records of the manifest; or this version cannot
    /// make the objects.
    pub(crate) async fn make(
        &self,
        manifest: &Arc<Manifest>,
        missing: &[usize],
        effort: Effort,
    ) -> Result<Made, LogError> {
        let turn = turn(&self.repairing).await?;
        let (this, manifest, missing) = (self.clone(), Arc::clone(manifest), missing.to_vec());
        on_a_thread("repair", async move {
            let made = this.read_and_make(manifest, &missing, effort).await;
            drop(turn);
            made
        })
        .await
    }

    async fn read_and_make(
        &self,
        manifest: Arc<Manifest>,
        missing: &[usize],
        effort: Effort,
    ) -> Result<Made, LogError> {
        let (first, last) = (manifest.first, manifest.last);
        let mut charge = self.memory.charge(0);
        let mut how = How {
            log_start: 0,
            gives_up: effort != Effort::Whole,
            room: self.memory.room_of_repairs(),
        };
        let range = manifest.span(missing).filter(|_| effort != Effort::Nothing);
        let repair = match range {
            None => Repair::new(manifest, missing, how),
            Some(range) => {
                charge.set(Memory::READER_BYTES);
                charge.wait_for_room().await;
                let partition = manifest.partition;
                let mut log = LogRange::open(&self.kafka, partition, range, how.gives_up)?;
                how.log_start = log.start();
                let mut repair = Repair::new(manifest, missing, how);
                while !repair.is_over() && log.read(|record| Ok(repair.push(record)?)).await? {
                    charge.set(Memory::READER_BYTES + repair.held());
                    charge.wait_for_room().await;
                    // Here it ends if nobody waits for it any more.
                    tokio::task::yield_now().await;
                }
                repair
            }
        };
        let objects: BTreeMap<usize, Object> = repair.objects()?.into_iter().collect();
        charge.set(
            objects
                .values()
                .map(|object| object.body.len() as u64)
                .sum(),
        );
        let lost_below = Some(how.log_start)
            .filter(|start| *start > first)
            .map(|start| start.min(last + 1));
        Ok(Made {
            objects,
            lost_below,
            charge,
        })
    }

    /// Returns true if the log has no records in a range; false also if retention has
    /// taken it.
    ///
    /// # Errors
    /// The log cannot be read.
    pub(crate) async fn is_absent(
        &self,
        partition: i32,
        (first, last): (i64, i64),
    ) -> Result<bool, LogError> {
        let turn = turn(&self.looking).await?;
        let this = self.clone();
        on_a_thread("look at the log", async move {
            let _charge = this.memory.charge(Memory::READER_BYTES);
            let mut log = LogRange::open(&this.kafka, partition, (first, last), false)?;
            let mut found = false;
            while !found
                && log
                    .read(|_| {
                        found = true;
                        Ok(())
                    })
                    .await?
            {
                tokio::task::yield_now().await;
            }
            drop(turn);
            Ok(!found && log.start() <= first)
        })
        .await
    }
}

/// Runs blocking work on a thread of its own, which ends with it. It ends early, and
/// frees its memory, if nobody waits for it any more.
///
/// glibc keeps freed memory for the threads that share an arena, and hands the arena of a
/// thread that ended to the next one. The runtime's threads for blocking calls stay, each
/// with an arena, and each would keep as much as a repair takes.
async fn on_a_thread<T: Send + 'static>(
    what: &'static str,
    work: impl Future<Output = Result<T, LogError>> + Send + 'static,
) -> Result<T, LogError> {
    let runtime = Handle::current();
    let given_up = CancellationToken::new();
    let _guard = given_up.clone().drop_guard();
    let (done, outcome) = oneshot::channel();
    let work = work.in_current_span();
    std::thread::Builder::new()
        .name(what.to_owned())
        .spawn(move || {
            let worked = runtime.block_on(given_up.run_until_cancelled(work));
            // Nobody waits for it any more, or it is taken.
            let _ = worked.map(|worked| done.send(worked));
        })
        .map_err(LogError::kafka(format!("cannot start the {what}")))?;
    outcome.await.map_err(|_| LogError::Panicked(what))?
}

/// Waits for its turn.
async fn turn(turns: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, LogError> {
    // The semaphore is never closed.
    let turn = Arc::clone(turns).acquire_owned().await;
    turn.map_err(LogError::kafka("cannot wait for the log"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retry::Retryable as _;

    /// It was tried again for ever, as if Kafka were away.
    #[tokio::test]
    async fn a_panic_is_not_tried_again_and_an_error_is() {
        let panicked = on_a_thread::<()>("repair", async { panic!("at a header's name") })
            .await
            .expect_err("a panic");
        assert!(
            !panicked.is_retryable() && panicked.to_string().contains("the repair panicked"),
            "{panicked}"
        );
        let failed = on_a_thread::<()>("repair", async {
            Err(LogError::kafka("cannot read")("no answer"))
        })
        .await
        .expect_err("an error");
        assert!(failed.is_retryable(), "{failed}");
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_gives_back_what_it_holds() {
        let held = Arc::new(());
        let (started, has_started) = oneshot::channel();
        let holds = Arc::clone(&held);
        let work = on_a_thread::<()>("repair", async move {
            let _holds = holds;
            let _ = started.send(());
            std::future::pending().await
        });
        tokio::select! {
            _ = work => unreachable!("it never ends"),
            started = has_started => started.expect("started"),
        }
        let given_back = async {
            while Arc::strong_count(&held) > 1 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(10), given_back)
            .await
            .expect("given back");
    }
}

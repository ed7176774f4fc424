use std::time::{Duration, Instant};

use anyhow::Result;
use lake::SealCause;

use super::open::{Lane, Open};
use super::reader::{PartitionReader, Queue};
use crate::landing::{Landing, Sealed};
use crate::sealer::Outcome;

/// Time between two looks at the lag.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);

/// Why reading ended.
pub(super) enum End {
    /// It was asked to.
    Stopped,
    /// The next offset has to be found out again.
    Again(Box<Landing>),
}

impl PartitionReader {
    /// Reads from `next` on, and seals each batch that is due.
    pub(super) async fn read(
        &mut self,
        queue: &mut Queue,
        landing: Box<Landing>,
        next: i64,
    ) -> Result<End> {
        self.moved.begins(next);
        let mut open = Open::new(self.empty_batch(next), landing);
        let mut memory = self.memory.changes();
        let mut gauges = tokio::time::interval(PROGRESS_INTERVAL);
        let finish = self.stop.finish.clone();
        loop {
            let due = self.due(&open);
            if let Some(cause) = due
                && let Some(landing) = open.lane.take()
            {
                self.seal(&mut open, *landing, cause);
                continue;
            }
            if open.lost
                && let Some(landing) = open.lane.take()
            {
                return Ok(End::Again(landing));
            }
            // G3: a full batch behind one that is being sealed stops the reading, and so
            // does full memory: Kafka keeps the rest.
            let may_read = due.is_none() && !open.lost && !self.memory.is_full();
            // G2: an open batch wakes the task, even if no record comes.
            let deadline = self.policy.deadline(&open.batch).filter(|_| due.is_none());
            tokio::select! {
                biased;
                () = finish.cancelled() => break,
                outcome = open.lane.finished() => {
                    if let Some(end) = take_back(&mut open, outcome?) {
                        return Ok(end);
                    }
                }
                () = sleep_until(deadline) => {}
                _ = memory.changed() => {}
                _ = gauges.tick() => {
                    self.look_at_the_end(&mut open).await?;
                    if !open.lost {
                        self.show_progress(&open);
                    }
                }
                messages = queue.recv(), if may_read => self.take(&mut open, messages).await?,
            }
        }
        self.leave(open).await?;
        Ok(End::Stopped)
    }

    /// Returns why the open batch is to be sealed now.
    fn due(&self, open: &Open) -> Option<SealCause> {
        open.batch.range()?;
        if open.lost {
            return Some(SealCause::Lost);
        }
        let due = self.policy.due(&open.batch, open.ratio, Instant::now());
        due.or_else(|| {
            let makes_room = self.memory.is_full() && self.memory.is_largest(self.sealer.partition);
            makes_room.then_some(SealCause::Memory)
        })
    }

    fn seal(&self, open: &mut Open, landing: Landing, cause: SealCause) {
        let following = self.empty_batch(open.batch.next());
        let batch = std::mem::replace(&mut open.batch, following);
        let charge = self.memory.charge(batch.memory());
        self.memory.set_open(self.sealer.partition, 0);
        open.reported_bytes = 0;
        let give_up = self.stop.give_up.clone();
        let sealer = self.sealer.clone();
        open.lane
            .begin(sealer.seal(landing, batch, cause, charge, give_up));
    }

    /// Seals the open batch and ends.
    async fn leave(&self, mut open: Open) -> Result<()> {
        if let Lane::Sealing(_) = open.lane {
            let outcome = open.lane.finished().await?;
            if take_back(&mut open, outcome).is_some() {
                return Ok(());
            }
        }
        if open.batch.range().is_some()
            && !self.stop.give_up.is_cancelled()
            && let Some(landing) = open.lane.take()
        {
            self.seal(&mut open, *landing, SealCause::Leaving);
            open.lane.finished().await?;
        }
        Ok(())
    }
}

/// Takes back the landing from the batch that was being sealed. Returns how reading ends,
/// if it does.
fn take_back(open: &mut Open, outcome: Outcome) -> Option<End> {
    open.ratio.learn(outcome.value_bytes, outcome.encoded_bytes);
    let landing = Box::new(outcome.landing);
    match outcome.sealed {
        Some(Sealed::Own) => {
            open.lane = Lane::Idle(landing);
            None
        }
        // The open batch follows a batch that does not exist.
        Some(Sealed::Other { .. }) => Some(End::Again(landing)),
        None => Some(End::Stopped),
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

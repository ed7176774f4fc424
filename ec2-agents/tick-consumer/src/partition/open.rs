use anyhow::{Context as _, Result};
use lake::{Batch, EncodedRatio};
use tokio::task::JoinSet;
use tracing::Instrument as _;

use crate::landing::Landing;
use crate::sealer::Outcome;

/// The records that a partition has read and not landed.
pub(super) struct Open {
    pub(super) batch: Batch,
    /// The batch's size that was reported last, in bytes.
    pub(super) reported_bytes: u64,
    pub(super) lane: Lane,
    pub(super) ratio: EncodedRatio,
    /// The next record does not follow: retention deleted records, or the log has
    /// changed.
    pub(super) lost: bool,
    /// Nothing has come since the seek.
    pub(super) is_fresh: bool,
    /// An error came since the seek: librdkafka goes on after a batch that it cannot
    /// read, so that the next hole may hide records.
    pub(super) is_doubtful: bool,
    /// The log has no record from the batch's end to this offset: it was looked at.
    pub(super) known_absent: i64,
}

impl Open {
    pub(super) fn new(batch: Batch, landing: Box<Landing>) -> Self {
        Self {
            batch,
            reported_bytes: 0,
            lane: Lane::Idle(landing),
            ratio: EncodedRatio::default(),
            lost: false,
            is_fresh: true,
            is_doubtful: false,
            known_absent: -1,
        }
    }
}

/// The way of batches into the lake, which one takes at a time.
pub(super) enum Lane {
    /// Nothing is being sealed, and the landing is at hand.
    Idle(Box<Landing>),
    /// A batch is being sealed, which has the landing. It is given up with the reading
    /// that it belongs to.
    Sealing(JoinSet<Result<Outcome>>),
}

impl Lane {
    /// Returns the landing, if it is at hand; it comes back with the batch that it is
    /// taken for.
    pub(super) fn take(&mut self) -> Option<Box<Landing>> {
        match std::mem::replace(self, Self::Sealing(JoinSet::new())) {
            Self::Idle(landing) => Some(landing),
            sealing => {
                *self = sealing;
                None
            }
        }
    }

    /// Begins to seal a batch.
    pub(super) fn begin(&mut self, seal: impl Future<Output = Result<Outcome>> + Send + 'static) {
        let mut sealing = JoinSet::new();
        sealing.spawn(seal.in_current_span());
        *self = Self::Sealing(sealing);
    }

    /// Waits for the batch that is being sealed; for ever while none is.
    pub(super) async fn finished(&mut self) -> Result<Outcome> {
        let ended = match self {
            Self::Idle(_) => None,
            Self::Sealing(sealing) => sealing.join_next().await,
        };
        match ended {
            Some(ended) => ended.context("the sealer panicked")?,
            None => std::future::pending().await,
        }
    }

    /// Returns the next offset to land; `None` while a batch is being sealed.
    pub(super) fn next(&self) -> Option<i64> {
        match self {
            Self::Idle(landing) => landing.next(),
            Self::Sealing(_) => None,
        }
    }
}

mod errands;
mod fault;
mod remake;

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use futures::StreamExt as _;
use lake::{Answer, GapReason, Manifest, Object, Protocol, Request, Standing};
use tracing::{info, warn};

use crate::attempt::attempt;
use crate::lake_bucket::LakeBucket;
use crate::memory::Charge;
use crate::metrics;
use crate::repairs::Repairs;
use crate::topic::Topic;
use errands::Errands;
use fault::explain;
use remake::remake;

/// Requests that are carried out at the same time.
const MAX_CONCURRENT_REQUESTS: usize = 16;

/// One partition's state in the lake: drives [`Protocol`] against S3 and Kafka, and does
/// nothing else to either. It may be dropped at any moment: another consumer completes
/// its work.
pub(crate) struct Landing {
    errands: Errands,
    repairs: Repairs,
    protocol: Protocol,
    /// Objects of the manifest that is being completed, by their place in it.
    objects: BTreeMap<usize, Object>,
    /// For the memory of those that were made again.
    charge: Option<Charge>,
    /// An operator gives up the records of an incomplete batch below this offset that
    /// cannot be read.
    gives_up_below: i64,
    /// How many offsets were given up.
    given_up: u64,
}

/// The outcome of a seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sealed {
    /// It landed.
    Own,
    /// Another consumer was faster: its batch was completed instead, and the partition
    /// goes on at `next`.
    Other {
        /// The offset to go on at.
        next: i64,
    },
}

/// A manifest, and the places in it of objects that are not in the lake.
type Incomplete = (Arc<Manifest>, Vec<usize>);

impl Landing {
    pub(crate) fn new(
        bucket: LakeBucket,
        topic: Arc<Topic>,
        repairs: Repairs,
        partition: i32,
    ) -> Self {
        Self {
            errands: Errands::new(bucket, topic, partition),
            repairs,
            protocol: Protocol::new(),
            objects: BTreeMap::new(),
            charge: None,
            gives_up_below: 0,
            given_up: 0,
        }
    }

    /// Gives up, on behalf of an operator, the records that cannot be read of an
    /// incomplete batch that ends below `offset`.
    pub(crate) fn give_up_below(self, offset: i64) -> Self {
        Self {
            gives_up_below: offset,
            ..self
        }
    }

    /// Returns how many offsets of an incomplete batch were given up.
    pub(crate) fn given_up(&self) -> u64 {
        self.given_up
    }

    /// Finds the end of the landed offsets, completing the newest batch if its consumer
    /// did not. Returns the offset to go on at.
    ///
    /// # Errors
    /// The partition cannot be landed any further; says why.
    pub(crate) async fn establish(&mut self) -> Result<i64> {
        self.protocol.restart();
        loop {
            while let Some(incomplete) = self.drive().await? {
                self.make_again(incomplete).await?;
            }
            (self.objects, self.charge) = (BTreeMap::new(), None);
            match self.protocol.standing() {
                Standing::Ready { next, .. } => return Ok(next),
                Standing::Gap {
                    first,
                    last,
                    reason,
                } => {
                    let offsets = last - first + 1;
                    match reason {
                        GapReason::BeforeLogStart => {
                            info!(first, last, "the log begins behind these offsets")
                        }
                        _ => warn!(
                            event = "offsets_lost",
                            first,
                            last,
                            offsets,
                            reason = reason.words(),
                            "OFFSETS ARE LOST: the log no longer has them and they have not \
                             landed; they are registered as a gap"
                        ),
                    }
                    if self.gap((first, last), reason).await? == Sealed::Own {
                        metrics::LOST_OFFSETS.count(offsets.unsigned_abs());
                    }
                }
                _ => {}
            }
        }
    }

    /// Registers a gap at the partition's next offset.
    pub(crate) async fn gap(&mut self, range: (i64, i64), reason: GapReason) -> Result<Sealed> {
        let manifest = Manifest::of_gap(
            self.errands.topic.name(),
            self.topic_id()?,
            self.errands.partition,
            range,
            reason,
            attempt(),
        );
        self.seal(manifest, Vec::new()).await
    }

    /// Registers a manifest at the partition's next offset, and creates its objects: G1.
    /// If an incomplete manifest of another consumer is there instead, it is left to
    /// [`Landing::establish`], so that the memory of this batch and of the next is freed
    /// before.
    ///
    /// # Errors
    /// As for [`Landing::establish`].
    pub(crate) async fn seal(
        &mut self,
        manifest: Manifest,
        objects: Vec<Object>,
    ) -> Result<Sealed> {
        let partition = self.errands.partition;
        let own = manifest.attempt.clone();
        self.objects = objects.into_iter().enumerate().collect();
        let begun = self.protocol.seal(Arc::new(manifest));
        begun.map_err(|manifest| {
            anyhow!(
                "offset {} is not where partition {partition} stands; this is a fault in \
                 tick-consumer",
                manifest.first
            )
        })?;
        let incomplete = self.drive().await?;
        self.objects.clear();
        if let Some((manifest, _)) = incomplete {
            return Ok(Sealed::Other {
                next: manifest.last + 1,
            });
        }
        match self.protocol.standing() {
            Standing::Ready { tail, .. } if tail == Some(own.as_str()) => Ok(Sealed::Own),
            Standing::Ready { next, .. } | Standing::Gap { first: next, .. } => {
                Ok(Sealed::Other { next })
            }
            standing => Err(anyhow!(
                "partition {partition} stands at {standing:?}; this is a fault in tick-consumer"
            )),
        }
    }

    /// Returns the id that manifests have to name; known once the partition stands.
    pub(crate) fn topic_id(&self) -> Result<&str> {
        self.protocol
            .topic_id()
            .context("the topic's id is not known yet; this is a fault in tick-consumer")
    }

    /// Returns the next offset to land, if the partition is ready.
    pub(crate) fn next(&self) -> Option<i64> {
        match self.protocol.standing() {
            Standing::Ready { next, .. } => Some(next),
            _ => None,
        }
    }

    /// Carries out the protocol's requests until it is ready, or until objects have to be
    /// made again.
    async fn drive(&mut self) -> Result<Option<Incomplete>> {
        loop {
            match self.protocol.standing() {
                Standing::Ready { .. } | Standing::Gap { .. } => return Ok(None),
                Standing::Failed(fault) => return Err(explain(fault, &self.errands)),
                Standing::Busy => {}
            }
            let requests = self.protocol.requests();
            if let [Request::ReadBack(manifest, missing)] = requests.as_slice() {
                return Ok(Some((Arc::clone(manifest), missing.clone())));
            }
            let (errands, objects) = (&self.errands, &self.objects);
            let carried_out = |request| async {
                let answer = errands.carry_out(&request, objects).await;
                (request, answer)
            };
            let answers: Vec<_> = futures::stream::iter(requests)
                .map(carried_out)
                .buffer_unordered(MAX_CONCURRENT_REQUESTS)
                .collect()
                .await;
            for (request, answer) in answers {
                let answer = answer?;
                if let (Request::CreateObject(_, index), Answer::Created) = (&request, &answer) {
                    let object = self.objects.get(index);
                    self.given_up += object.map_or(0, |object| object.metadata.skipped);
                }
                self.protocol.answer(&request, answer);
            }
        }
    }

    /// Makes objects again from the log, for which this partition holds nothing else in
    /// memory.
    async fn make_again(&mut self, (manifest, missing): Incomplete) -> Result<()> {
        (self.objects, self.charge) = (BTreeMap::new(), None);
        let made = remake(&self.repairs, &manifest, &missing, self.gives_up_below).await?;
        self.protocol.answer(
            &Request::ReadBack(manifest, missing),
            Answer::Made(made.objects.keys().copied().collect()),
        );
        (self.objects, self.charge) = (made.objects, Some(made.charge));
        Ok(())
    }
}

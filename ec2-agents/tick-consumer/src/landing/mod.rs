use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use futures::StreamExt as _;
use lake::{Answer, Fault, GapReason, Manifest, Object, Protocol, Request, Standing};
use tracing::{info, warn};

use crate::lake_bucket::{LakeBucket, Put};
use crate::memory::Charge;
use crate::repairs::{Effort, Made, Repairs};
use crate::topic::Topic;

/// Waits between attempts: doubling from the first to the last, for as long as S3 or
/// Kafka is away.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// Attempts to read a batch whole before an operator's `skip` gives up what cannot be
/// read.
const WHOLE_ATTEMPTS: u32 = 4;
/// Requests for objects that are carried out at the same time.
const AT_ONCE: usize = 16;

/// Where one partition stands in the lake: drives [`Protocol`] against S3 and Kafka, and
/// does nothing else to either. It may be dropped at any moment: what it began somebody
/// else completes.
pub(crate) struct Landing {
    pub(crate) bucket: LakeBucket,
    pub(crate) topic: Arc<Topic>,
    pub(crate) repairs: Repairs,
    pub(crate) partition: i32,
    protocol: Protocol,
    /// Objects of the manifest that is being completed, by their place in it.
    objects: BTreeMap<usize, Object>,
    /// For the memory of those that were made again.
    charge: Option<Charge>,
    /// An operator gives up the records of an incomplete batch below this offset that
    /// cannot be read.
    gives_up_below: i64,
    /// How many offsets were given up.
    given_up: AtomicU64,
    /// PUTs in a row whose outcome nobody knows. A look at what is there follows each of
    /// them, so that its success says nothing of the next PUT.
    unheard: AtomicU32,
}

/// What became of a batch.
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

impl Landing {
    pub(crate) fn new(
        bucket: LakeBucket,
        topic: Arc<Topic>,
        repairs: Repairs,
        partition: i32,
    ) -> Self {
        Self {
            bucket,
            topic,
            repairs,
            partition,
            protocol: Protocol::new(),
            objects: BTreeMap::new(),
            charge: None,
            gives_up_below: 0,
            given_up: AtomicU64::new(0),
            unheard: AtomicU32::new(0),
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
        self.given_up.load(Ordering::Relaxed)
    }

    /// Finds the end of what has landed, completing the newest batch where its consumer
    /// did not. Returns the offset to go on at.
    ///
    /// # Errors
    /// The partition cannot be landed any further; says why.
    pub(crate) async fn establish(&mut self) -> Result<i64> {
        self.protocol.restart();
        loop {
            while let Some(missing) = self.drive().await? {
                self.make_again(missing).await?;
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
                        GapReason::BeforeLogStart => info!(
                            partition = self.partition,
                            first, last, "the log begins behind these offsets"
                        ),
                        _ => warn!(
                            partition = self.partition,
                            first,
                            last,
                            offsets,
                            reason = reason.words(),
                            "OFFSETS ARE LOST: the log no longer has them and they have not landed; they are registered as a gap"
                        ),
                    }
                    if self.gap((first, last), reason).await? == Sealed::Own {
                        crate::metrics::count_lost_offsets(offsets.unsigned_abs());
                    }
                }
                _ => {}
            }
        }
    }

    /// Registers a gap where the partition stands.
    pub(crate) async fn gap(&mut self, range: (i64, i64), reason: GapReason) -> Result<Sealed> {
        let manifest = Manifest::of_gap(
            self.topic.name(),
            self.topic_id()?,
            self.partition,
            range,
            reason,
            attempt(),
        );
        self.seal(manifest, Vec::new()).await
    }

    /// Registers a manifest where the partition stands, and creates its objects: G1. A
    /// manifest of another consumer that is there instead and is incomplete is left to
    /// [`Landing::establish`], so that what is held of this batch and of the next can be
    /// dropped before.
    ///
    /// # Errors
    /// As for [`Landing::establish`].
    pub(crate) async fn seal(
        &mut self,
        manifest: Manifest,
        objects: Vec<Object>,
    ) -> Result<Sealed> {
        let own = manifest.attempt.clone();
        self.objects = objects.into_iter().enumerate().collect();
        let begun = self.protocol.seal(Arc::new(manifest));
        begun.map_err(|manifest| {
            anyhow!(
                "offset {} is not where partition {} stands; this is a fault in tick-consumer",
                manifest.first,
                self.partition
            )
        })?;
        let missing = self.drive().await?;
        self.objects.clear();
        if let Some((manifest, _)) = missing {
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
                "partition {} stands at {standing:?}; this is a fault in tick-consumer",
                self.partition
            )),
        }
    }

    /// Returns the id that manifests have to name; known once the partition stands.
    pub(crate) fn topic_id(&self) -> Result<&str> {
        self.protocol
            .topic_id()
            .context("the topic's id is not known yet; this is a fault in tick-consumer")
    }

    /// Returns the offset behind what has landed, where the partition stands.
    pub(crate) fn next(&self) -> Option<i64> {
        match self.protocol.standing() {
            Standing::Ready { next, .. } => Some(next),
            _ => None,
        }
    }

    /// Carries out what the protocol asks for until it stands, or until objects have to
    /// be made again: returns their manifest and their places in it.
    async fn drive(&mut self) -> Result<Option<(Arc<Manifest>, Vec<usize>)>> {
        loop {
            match self.protocol.standing() {
                Standing::Ready { .. } | Standing::Gap { .. } => return Ok(None),
                Standing::Failed(fault) => return Err(self.explain(fault)),
                Standing::Busy => {}
            }
            let requests = self.protocol.requests();
            if let [Request::ReadBack(manifest, missing)] = requests.as_slice() {
                return Ok(Some((Arc::clone(manifest), missing.clone())));
            }
            let carried_out = |request| async {
                let answer = self.carry_out(&request).await;
                (request, answer)
            };
            let answers: Vec<_> = futures::stream::iter(requests)
                .map(carried_out)
                .buffer_unordered(AT_ONCE)
                .collect()
                .await;
            for (request, answer) in answers {
                self.protocol.answer(&request, answer?);
            }
        }
    }

    async fn carry_out(&self, request: &Request) -> Result<Answer> {
        let (bucket, topic) = (&self.bucket, &self.topic);
        Ok(match request {
            Request::FindTail => Answer::Manifest(
                self.retried("find the newest manifest", || {
                    bucket.newest_manifest(topic.name(), self.partition)
                })
                .await?,
            ),
            Request::LookAtLog => Answer::Log(
                self.retried("look at the log", || topic.log(self.partition))
                    .await?,
            ),
            Request::CheckTopic => {
                Answer::TopicId(self.retried("look at the topic", || topic.id()).await?)
            }
            Request::ReadManifest(first) => {
                let key = lake::ManifestKey {
                    topic: topic.name().to_owned(),
                    partition: self.partition,
                    first: *first,
                };
                Answer::Manifest(
                    self.retried("read a manifest", || bucket.manifest(&key))
                        .await?,
                )
            }
            Request::InspectObject(manifest, index) => {
                let key = manifest.objects[*index].key.to_string();
                let head = self
                    .retried("look at an object", || bucket.head(&key))
                    .await?;
                let place = manifest.key();
                if head.is_none()
                    && self
                        .retried("look at the lake's retention", || {
                            bucket.may_have_expired(&place)
                        })
                        .await?
                {
                    // It has landed, and its time is over: it is not made again.
                    return Ok(Answer::Object(Some(manifest.attempt.clone())));
                }
                Answer::Object(head.map(|metadata| {
                    metadata
                        .and_then(|metadata| metadata.attempt)
                        .unwrap_or_default()
                }))
            }
            Request::CreateManifest(manifest) => {
                self.created(bucket.create_manifest(manifest).await?).await
            }
            Request::CreateObject(manifest, index) => {
                let object = self
                    .objects
                    .get(index)
                    .filter(|object| object.key == manifest.objects[*index].key);
                let object = object
                    .context("an object is not the manifest's; this is a fault in tick-consumer")?;
                let answer = self.created(bucket.create_object(object).await).await;
                if answer == Answer::Created {
                    self.given_up
                        .fetch_add(object.metadata.skipped, Ordering::Relaxed);
                }
                answer
            }
            Request::ReadBack(..) => {
                return Err(anyhow!(
                    "reading back is done alone; this is a fault in tick-consumer"
                ));
            }
        })
    }

    /// Whatever is not success is answered by a look at what is there, after a while.
    async fn created(&self, put: Put) -> Answer {
        match put {
            Put::Created => {
                self.unheard.store(0, Ordering::Relaxed);
                Answer::Created
            }
            Put::Refused => {
                self.unheard.store(0, Ordering::Relaxed);
                Answer::Refused
            }
            Put::Unknown(error) => {
                let attempts = self.unheard.fetch_add(1, Ordering::Relaxed);
                self.wait("put an object", attempts, &error).await;
                Answer::Refused
            }
        }
    }

    /// Makes objects again from the log, for which this partition holds nothing else in
    /// memory.
    async fn make_again(&mut self, (manifest, missing): (Arc<Manifest>, Vec<usize>)) -> Result<()> {
        (self.objects, self.charge) = (BTreeMap::new(), None);
        let Manifest {
            first,
            last,
            ref attempt,
            ..
        } = *manifest;
        let (partition, objects) = (self.partition, missing.len());
        info!(
            partition,
            first, last, attempt, objects, "completing a batch that its consumer left incomplete"
        );
        let made = match last < self.gives_up_below {
            false => self.retried("read back", || self.repairs.make(&manifest, &missing, Effort::Whole)).await.map_err(|error| {
                anyhow!(
                    "cannot complete offsets {first} to {last} of partition {partition} of topic {:?}: {error:#}\n  \
                     or give up the records that cannot be read: tick-consumer skip --partition {partition} --to {}",
                    self.topic.name(),
                    last + 1
                )
            })?,
            true => self.make_as_far_as_possible(&manifest, &missing).await?,
        };
        if let Some(lost_below) = made.lost_below {
            warn!(
                partition,
                first,
                last,
                lost_below,
                "OFFSETS ARE LOST: retention took the beginning of an incomplete batch, which is completed with what is left"
            );
        }
        self.protocol.answer(
            &Request::ReadBack(manifest, missing),
            Answer::Made(made.objects.keys().copied().collect()),
        );
        (self.objects, self.charge) = (made.objects, Some(made.charge));
        Ok(())
    }

    /// Makes objects again on behalf of an operator: whole if possible, else with the
    /// records that can be read, and if that fails, too, without any.
    async fn make_as_far_as_possible(
        &self,
        manifest: &Arc<Manifest>,
        missing: &[usize],
    ) -> Result<Made> {
        let because = |error: anyhow::Error| {
            warn!(
                partition = self.partition,
                error = format!("{error:#}"),
                "giving up the records that cannot be read"
            )
        };
        for attempt in 0..WHOLE_ATTEMPTS {
            match self.repairs.make(manifest, missing, Effort::Whole).await {
                Ok(made) => return Ok(made),
                // A broker may be away for a moment.
                Err(error) if !is_final(&error) && attempt + 1 < WHOLE_ATTEMPTS => {
                    self.wait("read back", attempt, &error).await
                }
                Err(error) => {
                    because(error);
                    break;
                }
            }
        }
        match self
            .retried("read back", || {
                self.repairs.make(manifest, missing, Effort::Readable)
            })
            .await
            .map_err(because)
        {
            Ok(made) => Ok(made),
            Err(()) => self.repairs.make(manifest, missing, Effort::Nothing).await,
        }
    }

    /// Tries until it succeeds. What can never succeed is an error at once.
    async fn retried<T, F: Future<Output = Result<T>>>(
        &self,
        what: &str,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T> {
        let mut attempts = 0;
        loop {
            match attempt().await {
                Err(error) if !is_final(&error) => self.wait(what, attempts, &error).await,
                done => return done,
            }
            attempts += 1;
        }
    }

    async fn wait(&self, what: &str, attempts: u32, error: &anyhow::Error) {
        let wait = (RETRY.0 * 2u32.saturating_pow(attempts.min(10))).min(RETRY.1);
        metrics::counter!("ticklake_retries_total", "what" => what.to_owned()).increment(1);
        warn!(
            partition = self.partition,
            error = format!("{error:#}"),
            retry_in_seconds = wait.as_secs_f64(),
            "cannot {what}, trying again"
        );
        tokio::time::sleep(wait).await;
    }

    fn explain(&self, fault: &Fault) -> anyhow::Error {
        let (topic, bucket, partition) = (self.topic.name(), self.bucket.name(), self.partition);
        match fault {
            Fault::TopicMadeAnew { was, now, next } => anyhow!(
                "topic {topic:?} was deleted and made anew since offset {next} of partition {partition} was landed (topic id {was} → {now})\n  \
                 the lake in s3://{bucket}/ holds the old topic: land the new one into another bucket (setting lake.bucket) or under another topic's name"
            ),
            Fault::LogTruncated { next, end } => anyhow!(
                "the log of partition {partition} of topic {topic:?} ends at {end}, and {next} offsets of it have landed: records that were acknowledged are gone from Kafka\n  \
                 look for an unclean leader election or restored disks; the lake in s3://{bucket}/ still has them. Once the log is to be trusted again, \
                 land it under another topic's name or into another bucket (setting lake.bucket)"
            ),
            Fault::ForeignObject { key } => anyhow!(
                "s3://{bucket}/{key} is in the way: another program wrote it where an object of topic {topic:?} has to go\n  move it away"
            ),
        }
    }
}

/// True for what another attempt cannot mend: a manifest of a later version, a record
/// that this version cannot read, a foreign key, a panic.
pub(crate) fn is_final(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.is::<lake::ManifestError>()
            || cause.is::<tokio::sync::oneshot::error::RecvError>()
            || cause
                .downcast_ref::<lake::RepairError>()
                .is_some_and(lake::RepairError::is_final)
    })
}

/// Returns the name of an attempt to seal: no other has it.
pub(crate) fn attempt() -> String {
    format!("{:032x}", fastrand::u128(..))
}

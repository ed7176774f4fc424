//! Mails a digest of the objects that arrived in the lake.
//!
//! Every object is told of in a digest before its message is acknowledged (G7): a message
//! is returned as failed, or left in the queue, where it cannot be read, or where the
//! mail that tells of one of its objects could not be published.
//!
//! Mails are few by two things together. Before it publishes, the function fetches what
//! else waits in its queue, so that one mail tells of it all. After each attempt to
//! publish it holds for two seconds, and Lambda runs two of it at most: a mail a second,
//! whatever arrives.

mod announced;
mod batch;
mod digest;
mod publisher;
mod queue;
mod settings;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use anyhow::Result;
use aws_config::SdkConfig;
use aws_lambda_events::sqs::SqsBatchResponse;
use function::{Deadline, EventFunction};
use futures::{FutureExt as _, StreamExt as _};
use lake::ObjectMetadata;
use lambda_runtime::Error;
use metrics::counter;
use object_event::{Ignored, Invocation, ObjectCreated, ObjectVersion};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use announced::Announced;
use batch::{Batch, Sender};
pub use digest::{Attribute, Digest};
use publisher::Publisher;
use queue::Queue;
pub use settings::Settings;

/// HEADs in flight at a time.
const HEADS: usize = 32;
/// Longest time for which more messages are fetched: while they keep coming, a mail still
/// goes out.
const DRAIN: Duration = Duration::from_secs(10);
/// What is left before the deadline when messages are no longer fetched, objects no
/// longer looked up, mails no longer published, and messages no longer deleted. An
/// attempt to publish takes up to 3 s, the holds before and behind it 2 s each.
const LEFT: [Duration; 4] = [
    Duration::from_secs(15),
    Duration::from_secs(12),
    Duration::from_secs(8),
    Duration::from_millis(500),
];

/// The function: what it needs to handle one invocation after another.
pub struct Notify {
    s3: aws_sdk_s3::Client,
    queue: Queue,
    publisher: Publisher,
    table: String,
}

impl Notify {
    /// Returns the function with its clients.
    pub fn new(config: &SdkConfig, settings: Settings) -> Self {
        Self {
            s3: aws_sdk_s3::Client::new(config),
            queue: Queue::new(config, settings.queue_url),
            publisher: Publisher::new(config, settings.topic_arn),
            table: settings.table,
        }
    }

    /// Asks S3 what the object holds. An object that is gone, unreadable, or not looked
    /// up in time is still announced.
    ///
    /// # Errors
    /// The object, where it makes the function panic.
    async fn look_up(
        &self,
        created: ObjectCreated,
        until: Instant,
    ) -> Result<Announced, ObjectVersion> {
        let object = created.object.clone();
        let ObjectVersion {
            bucket,
            key,
            version_id,
            ..
        } = object.clone();
        let work = async {
            let head = timeout_at(
                until,
                self.s3
                    .head_object()
                    .bucket(bucket)
                    .key(&key)
                    .set_version_id(version_id)
                    .send(),
            )
            .await;
            let metadata = match head {
                Ok(Ok(head)) => head.metadata().and_then(ObjectMetadata::from_map),
                Ok(Err(error)) => {
                    counter!("LookUpFailures").increment(1);
                    warn!(
                        key,
                        error = aws_connect::brief(&error),
                        "cannot HEAD the object"
                    );
                    None
                }
                Err(_) => {
                    counter!("LookUpFailures").increment(1);
                    warn!(key, "the object is not looked up before the deadline");
                    None
                }
            };
            Announced::new(created, metadata)
        };
        AssertUnwindSafe(work)
            .catch_unwind()
            .await
            .map_err(|_| object)
    }

    /// Publishes digests; returns the objects of those that could not be, with the
    /// reason.
    async fn publish(
        &self,
        digests: Vec<Digest>,
        until: Instant,
    ) -> BTreeMap<ObjectVersion, String> {
        let mut failed = BTreeMap::new();
        for (place, digest) in digests.into_iter().enumerate() {
            let outcome = if place > 0 && Instant::now() >= until {
                Err(anyhow::anyhow!(
                    "no time is left before the function's deadline"
                ))
            } else {
                self.publisher.publish(&digest, until).await
            };
            match outcome {
                Ok(()) => counter!("Mails").increment(1),
                Err(error) => {
                    counter!("PublishFailures").increment(1);
                    let reason = format!("{error:#}");
                    warn!(
                        error = reason,
                        objects = digest.objects.len(),
                        "cannot publish, the messages come back later"
                    );
                    failed.extend(
                        digest
                            .objects
                            .into_iter()
                            .map(|object| (object, reason.clone())),
                    );
                }
            }
        }
        failed
    }
}

impl EventFunction for Notify {
    async fn handle(&self, payload: Value, deadline: Deadline) -> Result<SqsBatchResponse, Error> {
        let [drain, look_up, publish, delete] = LEFT.map(|left| deadline.minus(left));
        let invocation = Invocation::read(payload, Batch::read)?;
        let mut batch = Batch::default();
        let mut failed: BTreeMap<usize, String> = BTreeMap::new();
        for (place, message) in invocation.messages.iter().enumerate() {
            if let Err(reason) = batch.add(Sender::Invocation(place), message) {
                failed.insert(place, reason.to_string());
            }
        }
        let own = batch.len();
        if own > 0
            && invocation
                .messages
                .iter()
                .any(|message| message.id.is_some())
        {
            self.queue
                .drain(&mut batch, drain.min(Instant::now() + DRAIN))
                .await;
        }
        let looked_up = futures::stream::iter(batch.objects())
            .map(|created| self.look_up(created, look_up))
            .buffered(HEADS);
        let (announced, panicked): (Vec<_>, Vec<_>) = looked_up
            .collect::<Vec<_>>()
            .await
            .into_iter()
            .partition(Result::is_ok);
        let panicked = panicked.into_iter().filter_map(Result::err);
        let mut unannounced: BTreeMap<ObjectVersion, String> = panicked
            .map(|object| (object, "the object made the function panic".to_owned()))
            .collect();
        let digests = Digest::compose(announced.into_iter().flatten().collect(), &self.table);
        let mails = digests.len();
        info!(
            messages = invocation.messages.len(),
            objects = batch.len(),
            fetched = batch.len() - own,
            repeats = batch.repeats,
            ignored = Ignored::summary(&batch.ignored),
            mails,
            "batch read"
        );
        counter!("Objects").increment(batch.len() as u64);
        counter!("Repeats").increment(batch.repeats);
        counter!("Ignored").increment(batch.ignored.len() as u64);
        let unpublished = self.publish(digests, publish).await;
        let is_heard = mails > 0 && unpublished.is_empty();
        unannounced.extend(unpublished);
        let senders: BTreeMap<&Sender, &str> = unannounced
            .iter()
            .flat_map(|(object, reason)| {
                batch
                    .senders([object])
                    .map(move |sender| (sender, reason.as_str()))
            })
            .collect();
        let done = batch.done(&senders);
        let count_subscriptions = async {
            if is_heard {
                self.publisher.count_subscriptions().await;
            }
        };
        let (not_deleted, (), ()) = tokio::join!(
            self.queue.delete(done, delete),
            self.publisher.hold(),
            count_subscriptions
        );
        counter!("DeleteFailures").increment(not_deleted);
        failed.extend(senders.iter().filter_map(|(sender, reason)| match sender {
            Sender::Invocation(place) => Some((*place, (*reason).to_owned())),
            Sender::Queue(_) => None,
        }));
        Ok(invocation.respond(
            failed
                .iter()
                .map(|(place, reason)| (*place, reason.as_str())),
        )?)
    }
}

//! Mails a digest of the objects that arrived in the lake, and of the hours that are
//! complete.
//!
//! Every object is announced in a digest before its message is acknowledged (G7). A
//! message is returned as failed, or left in the queue, if it cannot be read, or if the
//! mail with one of its objects could not be published.
//!
//! Mails are few by two things together. Before it publishes, the function fetches the
//! other waiting messages of its queue, so that one mail announces all. After each
//! attempt to publish it holds for two seconds, and Lambda runs two of it at most: never
//! more than a mail a second.

mod announced;
mod arrivals;
mod athena;
mod digest;
mod hours;
mod look_up;
mod publisher;
mod queue;
mod settings;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use aws_config::SdkConfig;
use aws_lambda_events::sqs::SqsBatchResponse;
use function::{Deadline, EventFunction};
use lambda_runtime::Error;
use metrics::counter;
use object_event::{Event, Ignored, Invocation, ObjectCreated};
use serde_json::Value;
use tokio::time::Instant;
use tracing::{info, warn};

use arrivals::{Arrivals, MessageSource};
use athena::Athena;
pub use digest::{Attribute, Digest};
use look_up::{Unannounced, look_up};
use publisher::Publisher;
use queue::Queue;
pub use settings::Settings;

/// Longest time for which more messages are fetched: while they keep coming, a mail still
/// goes out.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);
/// Left before the deadline when messages are no longer fetched.
const FETCH_MARGIN: Duration = Duration::from_secs(15);
/// Left when objects are no longer looked up.
const LOOK_UP_MARGIN: Duration = Duration::from_secs(12);
/// Left when mails are no longer published. An attempt to publish takes up to 3 s, the
/// holds before and behind it 2 s each.
const PUBLISH_MARGIN: Duration = Duration::from_secs(8);
/// Left when messages are no longer deleted.
const DELETE_MARGIN: Duration = Duration::from_millis(500);

/// The function: handles one invocation after another.
pub struct Notify {
    s3: aws_sdk_s3::Client,
    queue: Queue,
    publisher: Publisher,
    /// The lake's table as a query names it, `database.table`.
    table: String,
    athena: Athena,
}

/// The objects to announce.
struct Collected {
    arrivals: Arrivals,
    /// Objects that the function has fetched itself.
    fetched: usize,
    /// Messages of the invocation that cannot be read, by their place, with the reason.
    unread: BTreeMap<usize, String>,
}

impl Notify {
    /// Returns the function with its clients.
    pub fn new(config: &SdkConfig, settings: Settings) -> Self {
        let region = config.region().map_or("us-east-1", AsRef::as_ref);
        Self {
            s3: aws_sdk_s3::Client::new(config),
            queue: Queue::new(config, settings.queue_url),
            publisher: Publisher::new(config, settings.topic_arn),
            table: format!("{}.{}", settings.database, settings.table),
            athena: Athena::new(region, &settings.database, settings.workgroup),
        }
    }

    /// Reads the invocation's messages, and fetches the other waiting messages of the
    /// queue.
    async fn collect(&self, invocation: &Invocation<Event>, until: Instant) -> Collected {
        let mut arrivals = Arrivals::default();
        let mut unread = BTreeMap::new();
        for (place, message) in invocation.messages.iter().enumerate() {
            if let Err(reason) = arrivals.add(MessageSource::Invocation(place), message) {
                unread.insert(place, reason.to_string());
            }
        }
        let own = arrivals.len();
        let mut messages = invocation.messages.iter();
        if own > 0 && messages.any(|message| message.id.is_some()) {
            let until = until.min(Instant::now() + FETCH_TIMEOUT);
            self.queue.drain(&mut arrivals, until).await;
        }
        Collected {
            fetched: arrivals.len() - own,
            arrivals,
            unread,
        }
    }

    /// Publishes digests; returns the objects of those that could not be.
    async fn publish(&self, digests: Vec<Digest>, until: Instant) -> Unannounced {
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
                    let objects = digest.objects.into_iter();
                    failed.extend(objects.map(|object| (object, reason.clone())));
                }
            }
        }
        failed
    }

    /// Deletes the messages that the function has fetched and whose objects are all
    /// announced. Returns the messages of the invocation that failed, by their place,
    /// with the reason. Takes as long as the hold after the last mail.
    async fn acknowledge(
        &self,
        collected: Collected,
        unannounced: &Unannounced,
        is_heard: bool,
        until: Instant,
    ) -> BTreeMap<usize, String> {
        let Collected {
            arrivals,
            unread: mut failed,
            ..
        } = collected;
        let unacknowledged: BTreeMap<&MessageSource, &str> = unannounced
            .iter()
            .flat_map(|(object, reason)| {
                let sources = arrivals.sources([object]);
                sources.map(move |source| (source, reason.as_str()))
            })
            .collect();
        let count_subscriptions = async {
            if is_heard {
                self.publisher.count_subscriptions().await;
            }
        };
        let (not_deleted, (), ()) = tokio::join!(
            self.queue.delete(arrivals.done(&unacknowledged), until),
            self.publisher.hold(),
            count_subscriptions
        );
        counter!("DeleteFailures").increment(not_deleted);
        failed.extend(
            unacknowledged
                .iter()
                .filter_map(|(source, reason)| match source {
                    MessageSource::Invocation(place) => Some((*place, (*reason).to_owned())),
                    MessageSource::Queue(_) => None,
                }),
        );
        failed
    }
}

impl EventFunction for Notify {
    type Answer = SqsBatchResponse;

    async fn handle(&self, payload: Value, deadline: Deadline) -> Result<SqsBatchResponse, Error> {
        let invocation = Invocation::read(payload, Arrivals::read)?;
        let collected = self
            .collect(&invocation, deadline.minus(FETCH_MARGIN))
            .await;
        let is_outcome =
            |created: &ObjectCreated| hours::outcome_key(&created.object.key).is_some();
        let objects = collected.arrivals.objects().into_iter();
        let (outcomes, files) = objects.partition(is_outcome);
        let until = deadline.minus(LOOK_UP_MARGIN);
        let ((announced, mut unannounced), (complete, unread)) = tokio::join!(
            look_up(&self.s3, files, until),
            hours::read(&self.s3, outcomes, until)
        );
        unannounced.extend(unread);
        let mut digests = Digest::compose(announced, &self.table);
        digests.extend(Digest::of_hours(complete, &self.athena));
        let mails = digests.len();
        record(invocation.messages.len(), &collected, mails);
        let unpublished = self.publish(digests, deadline.minus(PUBLISH_MARGIN)).await;
        let is_heard = mails > 0 && unpublished.is_empty();
        unannounced.extend(unpublished);
        let failed = self
            .acknowledge(
                collected,
                &unannounced,
                is_heard,
                deadline.minus(DELETE_MARGIN),
            )
            .await;
        let failed = failed
            .iter()
            .map(|(place, reason)| (*place, reason.as_str()));
        Ok(invocation.respond(failed)?)
    }
}

/// Records the arrivals in the log and the metrics.
fn record(messages: usize, collected: &Collected, mails: usize) {
    let arrivals = &collected.arrivals;
    info!(
        messages,
        objects = arrivals.len(),
        fetched = collected.fetched,
        repeats = arrivals.repeats,
        ignored = Ignored::summary(&arrivals.ignored),
        mails,
        "batch read"
    );
    counter!("Objects").increment(arrivals.len() as u64);
    counter!("Repeats").increment(arrivals.repeats);
    counter!("Ignored").increment(arrivals.ignored.len() as u64);
}

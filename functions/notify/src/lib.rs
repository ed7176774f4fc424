//! Mails a digest of the objects that arrived in the lake.
//!
//! Every object of a batch is listed in a digest before its message is acknowledged (G7): a message is returned as failed where it
//! cannot be read, or where the mail that lists one of its objects could not be published.

mod announced;
mod digest;
mod settings;

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context as _, Result};
use aws_lambda_events::sqs::SqsBatchResponse;
use futures::StreamExt as _;
use lambda_runtime::Error;
use object_event::{Invocation, ObjectCreated};
use serde_json::Value;
use tracing::{info, warn};

use announced::Announced;
pub use digest::Digest;
pub use settings::Settings;

/// HEADs in flight at a time.
const HEADS: usize = 16;

/// The function: what it needs to handle one invocation after another.
pub struct Notify {
    s3: aws_sdk_s3::Client,
    sns: aws_sdk_sns::Client,
    settings: Settings,
}

impl Notify {
    /// Returns the function with its clients.
    pub fn new(s3: aws_sdk_s3::Client, sns: aws_sdk_sns::Client, settings: Settings) -> Self {
        Self { s3, sns, settings }
    }

    /// Handles one Lambda payload: publishes its digests and returns the messages to be redelivered.
    ///
    /// # Errors
    /// The payload is an event on its own (not an SQS batch) that failed.
    pub async fn handle(&self, payload: Value) -> Result<SqsBatchResponse, Error> {
        let invocation = Invocation::read(payload)?;
        let mut failed: BTreeMap<usize, String> = BTreeMap::new();
        // Each object once, with the messages that brought it: S3, EventBridge and SQS all may deliver again.
        let mut senders: HashMap<ObjectCreated, Vec<usize>> = HashMap::new();
        let mut objects = Vec::new();
        for (place, message) in invocation.messages.iter().enumerate() {
            match &message.content {
                Ok(decoded) => {
                    for object in decoded.created.iter().filter(|object| Announced::is_due(object)) {
                        let places = senders.entry(object.clone()).or_insert_with(|| {
                            objects.push(object.clone());
                            Vec::new()
                        });
                        places.push(place);
                    }
                }
                Err(error) => {
                    warn!(message = message.id, reason = %error, "not an event");
                    failed.insert(place, error.to_string());
                }
            }
        }
        let announced: Vec<Announced> =
            futures::stream::iter(objects).map(|object| Announced::look_up(&self.s3, object)).buffered(HEADS).collect().await;
        let digests = Digest::compose(announced, &self.settings.table);
        info!(messages = invocation.messages.len(), objects = senders.len(), mails = digests.len(), "batch read");
        for digest in digests {
            if let Err(error) = self.publish(&digest).await {
                let reason = format!("{error:#}");
                warn!(error = reason, objects = digest.objects.len(), "cannot publish, the messages come back later");
                for place in digest.objects.iter().flat_map(|object| &senders[object]) {
                    failed.insert(*place, reason.clone());
                }
            }
        }
        Ok(invocation.respond(failed.iter().map(|(place, reason)| (*place, reason.as_str())))?)
    }

    async fn publish(&self, digest: &Digest) -> Result<()> {
        let topic = &self.settings.topic_arn;
        let publish = self.sns.publish().topic_arn(topic).subject(&digest.subject).message(&digest.body);
        publish.send().await.map_err(|error| anyhow::anyhow!(aws_connect::brief(&error))).with_context(|| format!("Publish to {topic}"))?;
        Ok(())
    }
}

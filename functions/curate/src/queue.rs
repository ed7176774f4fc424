use std::sync::Arc;

use anyhow::{Result, anyhow, bail};
use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use curation::Task;
use curator::{Effects, HandOver};

/// SQS's limit of messages in one SendMessageBatch.
const MAX_MESSAGES_PER_CALL: usize = 10;

/// The queue of units of work.
pub(crate) struct Queue {
    sqs: Client,
    url: String,
    effects: Arc<Effects>,
}

impl HandOver for Queue {
    /// Sends the tasks, and registers that they were sent.
    async fn hand_over(&self, tasks: &[Task], number: u32) -> Result<()> {
        self.send(tasks).await?;
        self.effects.sent(tasks, number).await
    }
}

impl Queue {
    pub(crate) fn new(config: &SdkConfig, url: String, effects: Arc<Effects>) -> Self {
        let sqs = Client::new(config);
        Self { sqs, url, effects }
    }

    async fn send(&self, tasks: &[Task]) -> Result<()> {
        for some in tasks.chunks(MAX_MESSAGES_PER_CALL) {
            let mut send = self.sqs.send_message_batch().queue_url(&self.url);
            for (place, task) in some.iter().enumerate() {
                let entry = SendMessageBatchRequestEntry::builder()
                    .id(place.to_string())
                    .message_body(task.to_json()?);
                send = send.entries(entry.build()?);
            }
            let answer = send.send().await.map_err(|error| {
                anyhow!(
                    "SendMessageBatch {}: {}",
                    self.url,
                    aws_connect::brief(&error)
                )
            })?;
            // The next look sends the whole version again.
            if let Some(failure) = answer.failed().first() {
                bail!(
                    "SendMessageBatch {}: {} {}",
                    self.url,
                    failure.code(),
                    failure.message().unwrap_or_default()
                );
            }
        }
        Ok(())
    }
}

use anyhow::{Context as _, Result};
use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::types::DeleteMessageBatchRequestEntry;
use futures::StreamExt as _;
use object_event::{Event, Message};
use tokio::time::{Instant, sleep_until};
use tracing::warn;

use crate::arrivals::{Arrivals, MessageSource};

/// Most messages that SQS hands over, or takes to be deleted, in one call.
const MAX_MESSAGES_PER_CALL: usize = 10;
/// Calls in flight at a time. SQS answers a short poll from some of its servers only:
/// that so many find nothing says that the queue is as good as empty.
const MAX_CONCURRENT_CALLS: usize = 8;
/// Messages after which no more are fetched: the mails must go out, and the messages be
/// deleted, before the deadline.
const MAX_FETCHED_MESSAGES: usize = 2_000;
/// Bytes of mail after which no more are fetched, for the same reason.
const MAX_FETCHED_MAIL_BYTES: usize = 1 << 20;

/// The function's own queue.
pub(crate) struct Queue {
    sqs: Client,
    /// Asks once: the messages of an answer that is lost are invisible, and a second try
    /// brings others.
    once: Client,
    url: String,
}

impl Queue {
    pub(crate) fn new(config: &SdkConfig, url: String) -> Self {
        let once = aws_sdk_sqs::config::Builder::from(config)
            .retry_config(RetryConfig::disabled())
            .build();
        Self {
            sqs: Client::new(config),
            once: Client::from_conf(once),
            url,
        }
    }

    /// Fetches the waiting messages of the queue and adds them, until nothing is left,
    /// there is enough, or the time is up.
    pub(crate) async fn drain(&self, arrivals: &mut Arrivals, until: Instant) {
        let mut fetched = 0;
        while fetched < MAX_FETCHED_MESSAGES
            && arrivals.bytes() < MAX_FETCHED_MAIL_BYTES
            && Instant::now() < until
        {
            // No call is interrupted: the messages of its answer would stay invisible.
            let answers =
                futures::future::join_all((0..MAX_CONCURRENT_CALLS).map(|_| self.receive())).await;
            let (messages, errors): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
            let messages: Vec<(MessageSource, Message<Event>)> =
                messages.into_iter().flatten().flatten().collect();
            for (source, message) in &messages {
                // One that is no event stays in the queue, and comes to the dead-letter
                // queue after its last receive.
                let _ = arrivals.add(source.clone(), message);
            }
            if let Some(Err(error)) = errors.into_iter().next() {
                warn!(
                    error = format!("{error:#}"),
                    "cannot look for more messages"
                );
                return;
            }
            if messages.is_empty() {
                return;
            }
            fetched += messages.len();
        }
    }

    async fn receive(&self) -> Result<Vec<(MessageSource, Message<Event>)>> {
        // They stay invisible for the queue's own time, which is beyond the function's
        // deadline: nobody else announces them meanwhile.
        let receive = self
            .once
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(MAX_MESSAGES_PER_CALL as i32)
            .wait_time_seconds(0);
        let answer = receive.send().await;
        let answer = answer
            .map_err(|error| anyhow::anyhow!(aws_connect::brief(&error)))
            .with_context(|| format!("ReceiveMessage {}", self.url))?;
        let messages = answer
            .messages
            .unwrap_or_default()
            .into_iter()
            .filter_map(|message| {
                let read = Message::new(
                    message.message_id,
                    message.body.as_deref().unwrap_or_default(),
                    Arrivals::read,
                );
                Some((MessageSource::Queue(message.receipt_handle?), read))
            });
        Ok(messages.collect())
    }

    /// Deletes messages until the time is up; returns how many SQS has not deleted. Those
    /// come back, and are announced again.
    pub(crate) async fn delete(
        &self,
        receipts: impl IntoIterator<Item = &str>,
        until: Instant,
    ) -> u64 {
        let receipts: Vec<&str> = receipts.into_iter().collect();
        let calls = futures::stream::iter(receipts.chunks(MAX_MESSAGES_PER_CALL))
            .map(|chunk| self.delete_some(chunk))
            .buffer_unordered(MAX_CONCURRENT_CALLS);
        let deleted = calls
            .take_until(Box::pin(sleep_until(until)))
            .fold(0, async |sum, deleted| sum + deleted)
            .await;
        receipts.len() as u64 - deleted
    }

    async fn delete_some(&self, receipts: &[&str]) -> u64 {
        let entries = receipts.iter().enumerate().map(|(place, receipt)| {
            DeleteMessageBatchRequestEntry::builder()
                .id(place.to_string())
                .receipt_handle(*receipt)
                .build()
        });
        let entries: Vec<DeleteMessageBatchRequestEntry> = entries.filter_map(Result::ok).collect();
        match self
            .sqs
            .delete_message_batch()
            .queue_url(&self.url)
            .set_entries(Some(entries))
            .send()
            .await
        {
            Ok(answer) => {
                for failure in answer.failed() {
                    warn!(
                        code = failure.code(),
                        reason = failure.message(),
                        "a message is not deleted, its objects will be announced again"
                    );
                }
                answer.successful().len() as u64
            }
            Err(error) => {
                let error = aws_connect::brief(&error);
                warn!(
                    error,
                    messages = receipts.len(),
                    "DeleteMessageBatch; their objects will be announced again"
                );
                0
            }
        }
    }
}

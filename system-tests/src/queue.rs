use std::collections::HashMap;

use anyhow::{Context as _, Result};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;

/// Sets an attribute of a queue.
///
/// # Errors
/// SQS refuses.
pub async fn set_attribute(
    sqs: &Client,
    url: &str,
    name: QueueAttributeName,
    value: &str,
) -> Result<()> {
    let attributes = HashMap::from([(name, value.to_owned())]);
    sqs.set_queue_attributes()
        .queue_url(url)
        .set_attributes(Some(attributes))
        .send()
        .await
        .context("SetQueueAttributes")?;
    Ok(())
}

/// Sends a message.
///
/// # Errors
/// SQS refuses.
pub async fn send(sqs: &Client, url: &str, body: &str) -> Result<()> {
    sqs.send_message()
        .queue_url(url)
        .message_body(body)
        .send()
        .await
        .context("SendMessage")?;
    Ok(())
}

/// Returns how many messages a queue has, in flight or not.
///
/// # Errors
/// SQS refuses, or does not say.
pub async fn waiting(sqs: &Client, url: &str) -> Result<u64> {
    let names = [
        QueueAttributeName::ApproximateNumberOfMessages,
        QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        QueueAttributeName::ApproximateNumberOfMessagesDelayed,
    ];
    let answer = sqs
        .get_queue_attributes()
        .queue_url(url)
        .set_attribute_names(Some(names.to_vec()))
        .send()
        .await
        .context("GetQueueAttributes")?;
    let number = |name| {
        answer
            .attributes()
            .and_then(|attributes| attributes.get(name)?.parse::<u64>().ok())
            .context("no number of messages")
    };
    names.iter().map(number).sum()
}

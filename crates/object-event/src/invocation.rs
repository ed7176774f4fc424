use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, SystemTime};

use aws_lambda_events::sns::SnsEvent;
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use serde_json::Value;

use crate::EventError;

/// The payload of one invocation, message by message; `T` is the content of a message for
/// the function.
#[derive(Debug)]
pub struct Invocation<T> {
    /// The messages. They have no id if the function was invoked with an event directly
    /// or by SNS.
    pub messages: Vec<Message<T>>,
}

/// One message and its content.
#[derive(Debug)]
pub struct Message<T> {
    /// The SQS message id, by which a batch response names it.
    pub id: Option<String>,
    /// The time at which SQS got it.
    pub sent: Option<SystemTime>,
    /// The number of times that SQS has delivered it, this one included; 1 if not known.
    pub receives: u32,
    /// Its content, or the reason why it has none.
    pub content: Result<T, EventError>,
}

/// The reason why an invocation fails as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvocationError {
    /// Lambda's own envelope does not have the form that AWS documents.
    #[error("not a batch of {0}: {1}")]
    Envelope(&'static str, String),
    /// A message without an id failed, so a batch response cannot name it.
    #[error("the event failed: {0}")]
    Unnamed(String),
}

impl<T> Invocation<T> {
    /// Reads the messages of a Lambda payload: an SQS batch, an SNS event, or one event
    /// on its own. A panic in `read` becomes the message's error (G8).
    ///
    /// # Errors
    /// The envelope is broken. The error of a message is in its [`Message::content`].
    pub fn read(
        payload: Value,
        read: impl Fn(&str) -> Result<T, EventError>,
    ) -> Result<Self, InvocationError> {
        let first = &payload["Records"][0];
        let messages = if first["eventSource"] == "aws:sqs" {
            let batch: SqsEvent = serde_json::from_value(payload)
                .map_err(|error| InvocationError::Envelope("SQS", error.to_string()))?;
            batch
                .records
                .iter()
                .map(|message| Message::of_sqs(message, &read))
                .collect()
        } else if first["EventSource"] == "aws:sns" {
            let event: SnsEvent = serde_json::from_value(payload)
                .map_err(|error| InvocationError::Envelope("SNS", error.to_string()))?;
            event
                .records
                .iter()
                .map(|record| Message::new(None, &record.sns.message, &read))
                .collect()
        } else {
            vec![Message::new(None, &payload.to_string(), &read)]
        };
        Ok(Self { messages })
    }

    /// Returns the partial batch response that fails exactly the messages at these places
    /// (G8), each with a reason.
    ///
    /// # Errors
    /// One of them has no id. Then the invocation fails as a whole, and nothing is lost.
    pub fn respond<'a>(
        &self,
        failed: impl IntoIterator<Item = (usize, &'a str)>,
    ) -> Result<SqsBatchResponse, InvocationError> {
        let mut response = SqsBatchResponse::default();
        for (place, reason) in failed {
            match self
                .messages
                .get(place)
                .and_then(|message| message.id.as_deref())
            {
                Some(id) => response.add_failure(id),
                None => return Err(InvocationError::Unnamed(reason.to_owned())),
            }
        }
        Ok(response)
    }
}

impl<T> Message<T> {
    /// Reads the text of one message; a panic in `read` becomes its error.
    pub fn new(
        id: Option<String>,
        text: &str,
        read: impl Fn(&str) -> Result<T, EventError>,
    ) -> Self {
        let content = catch_unwind(AssertUnwindSafe(|| read(text))).unwrap_or_else(|panic| {
            let message = panic
                .downcast_ref::<&str>()
                .copied()
                .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
            Err(EventError::Panicked(
                message.unwrap_or("without a message").to_owned(),
            ))
        });
        Self {
            id,
            sent: None,
            receives: 1,
            content,
        }
    }

    fn of_sqs(message: &SqsMessage, read: impl Fn(&str) -> Result<T, EventError>) -> Self {
        let attribute = |name: &str| {
            message
                .attributes
                .get(name)
                .and_then(|value| value.parse::<u64>().ok())
        };
        // An empty identifier would fail the whole batch.
        let id = message.message_id.clone().filter(|id| !id.is_empty());
        let sent = attribute("SentTimestamp")
            .and_then(|millis| SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis)));
        let receives = attribute("ApproximateReceiveCount")
            .and_then(|count| count.try_into().ok())
            .unwrap_or(1);
        Self {
            sent,
            receives,
            ..Self::new(id, message.body.as_deref().unwrap_or_default(), read)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Event;

    fn read(text: &str) -> Result<Event, EventError> {
        assert!(text != "panic", "asked to");
        Event::decode(text, &[""])
    }

    fn batch(bodies: &[(&str, &str)]) -> Value {
        let record = |(id, body): &(&str, &str)| {
            json!({
                "eventSource": "aws:sqs",
                "messageId": id,
                "body": body,
                "attributes": {"SentTimestamp": "1795237200123", "ApproximateReceiveCount": "3"},
            })
        };
        json!({"Records": bodies.iter().map(record).collect::<Vec<_>>()})
    }

    #[test]
    fn bad_messages_and_panics_fail_alone() {
        let good = json!({"Event": "s3:TestEvent"}).to_string();
        let payload = batch(&[
            ("m1", &good),
            ("m2", "poison"),
            ("m3", ""),
            ("m4", "panic"),
            ("m5", &good),
        ]);
        let invocation = Invocation::read(payload, read).expect("an invocation");
        let bad: Vec<usize> = (0..5)
            .filter(|place| invocation.messages[*place].content.is_err())
            .collect();
        assert_eq!(bad, [1, 2, 3]);
        assert_eq!(
            invocation.messages[3].content,
            Err(EventError::Panicked("asked to".into()))
        );
        assert_eq!(
            invocation.messages[0].sent,
            SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(1_795_237_200_123))
        );
        assert_eq!(
            (
                invocation.messages[0].receives,
                Message::new(None, "", read).receives
            ),
            (3, 1)
        );
        let response = invocation
            .respond(bad.into_iter().map(|place| (place, "bad")))
            .expect("a response");
        let failures: Vec<String> = response
            .batch_item_failures
            .into_iter()
            .map(|failure| failure.item_identifier)
            .collect();
        assert_eq!(failures, ["m2", "m3", "m4"]);
    }

    #[test]
    fn each_sns_record_is_one_message() {
        let record = |message: &str| {
            json!({
                "EventSource": "aws:sns",
                "EventVersion": "1.0",
                "EventSubscriptionArn": "arn",
                "Sns": {
                    "Type": "Notification",
                    "MessageId": "m",
                    "TopicArn": "arn",
                    "Message": message,
                    "Timestamp": "2026-11-21T05:00:00.000Z",
                    "SignatureVersion": "1",
                    "Signature": "s",
                    "SigningCertUrl": "u",
                    "UnsubscribeUrl": "u",
                    "MessageAttributes": {},
                },
            })
        };
        let payload =
            json!({"Records": [record("{\"Event\":\"s3:TestEvent\"}"), record("poison")]});
        let invocation = Invocation::read(payload, read).expect("an invocation");
        assert!(invocation.messages[0].content.is_ok() && invocation.messages[1].content.is_err());
    }

    #[test]
    fn a_failure_without_an_id_fails_the_invocation() {
        for payload in [json!({"no": "event"}), batch(&[("", "")])] {
            let invocation = Invocation::read(payload, read).expect("an invocation");
            assert_eq!(
                invocation.respond([(0, "why")]),
                Err(InvocationError::Unnamed("why".into()))
            );
        }
    }
}

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use serde_json::Value;

use crate::body::{DecodeError, Decoded, decode, decode_value};

/// What Lambda hands a function, message by message.
#[derive(Debug)]
pub struct Invocation {
    /// The messages; exactly one, without an id, where the function was invoked with an event directly.
    pub messages: Vec<Message>,
}

/// One message and what it says.
#[derive(Debug)]
pub struct Message {
    /// The SQS message id, by which a batch response names it.
    pub id: Option<String>,
    /// What it says, or why it says nothing.
    pub content: Result<Decoded, DecodeError>,
}

/// Why an invocation fails as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvocationError {
    /// Lambda's own SQS envelope is not what AWS documents.
    #[error("not an SQS batch: {0}")]
    Envelope(String),
    /// A message failed that a batch response cannot name.
    #[error("the event failed: {0}")]
    Unnamed(String),
}

impl Invocation {
    /// Returns the messages of a Lambda payload.
    ///
    /// # Errors
    /// Only for a broken SQS envelope; a message that cannot be read is in its [`Message::content`].
    pub fn read(payload: Value) -> Result<Self, InvocationError> {
        let is_sqs = payload["Records"][0]["eventSource"] == "aws:sqs";
        if !is_sqs {
            return Ok(Self { messages: vec![Message { id: None, content: decode_value(payload) }] });
        }
        let batch: SqsEvent = serde_json::from_value(payload).map_err(|error| InvocationError::Envelope(error.to_string()))?;
        let messages = batch.records.into_iter().map(|record| Message {
            // AWS fails the whole batch on an empty identifier.
            id: record.message_id.filter(|id| !id.is_empty()),
            content: decode(record.body.as_deref().unwrap_or_default()),
        });
        Ok(Self { messages: messages.collect() })
    }

    /// Returns the partial batch response that fails exactly the messages at these places (G8), each with a reason.
    ///
    /// # Errors
    /// One of them has no id to be named by: then the invocation fails as a whole, and nothing is lost.
    pub fn respond<'a>(&self, failed: impl IntoIterator<Item = (usize, &'a str)>) -> Result<SqsBatchResponse, InvocationError> {
        let mut response = SqsBatchResponse::default();
        for (place, reason) in failed {
            match self.messages.get(place).and_then(|message| message.id.as_deref()) {
                Some(id) => response.add_failure(id),
                None => return Err(InvocationError::Unnamed(reason.to_owned())),
            }
        }
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_bad_message_fails_alone() {
        let good = json!({"Event": "s3:TestEvent"}).to_string();
        let payload = json!({"Records": [
            {"eventSource": "aws:sqs", "messageId": "m1", "body": good},
            {"eventSource": "aws:sqs", "messageId": "m2", "body": "poison"},
            {"eventSource": "aws:sqs", "messageId": "m3"},
        ]});
        let invocation = Invocation::read(payload).expect("an invocation");
        let bad: Vec<usize> = (0..3).filter(|place| invocation.messages[*place].content.is_err()).collect();
        assert_eq!(bad, [1, 2]);
        let response = invocation.respond(bad.into_iter().map(|place| (place, "bad"))).expect("a response");
        assert_eq!(
            serde_json::to_value(response).expect("json"),
            json!({"batchItemFailures": [{"itemIdentifier": "m2"}, {"itemIdentifier": "m3"}]})
        );
    }

    #[test]
    fn a_failure_without_an_id_fails_the_invocation() {
        for payload in [json!({"no": "event"}), json!({"Records": [{"eventSource": "aws:sqs", "messageId": "", "body": ""}]})] {
            let invocation = Invocation::read(payload).expect("an invocation");
            assert_eq!(invocation.respond([(0, "why")]), Err(InvocationError::Unnamed("why".into())));
        }
    }
}

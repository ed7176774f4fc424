//! Object-created events in each of their envelopes.
//!
//! [`Invocation::read`] takes the payload of a Lambda function: an SQS batch, an SNS
//! event, or one event on its own. It reads each message by itself, so a bad one fails
//! alone (G8). [`Event::decode`] reads one message: an S3 notification (keys
//! form-encoded) or an EventBridge `Object Created` event (keys raw), on its own or in an
//! SNS notification.
//!
//! Sources:
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>
//! and <https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html>.

mod event;
mod ignored;
mod invocation;
mod object_created;

pub use event::{Event, EventError};
pub use ignored::Ignored;
pub use invocation::{Invocation, InvocationError, Message};
pub use object_created::{ObjectCreated, ObjectVersion, Sequencer};

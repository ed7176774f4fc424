//! Object-created events, whatever they come wrapped in.
//!
//! [`Invocation::read`] takes what Lambda hands a function: an SQS batch, or one event on its own. Each message is read by itself, so that a bad one
//! fails alone (G8). A message holds what S3 or EventBridge sent: an S3 notification (keys form-encoded) or an EventBridge
//! `Object Created` event (keys raw).
//!
//! Sources: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html> and
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html>.

mod body;
mod invocation;

pub use body::{DecodeError, Decoded, ObjectCreated, decode};
pub use invocation::{Invocation, InvocationError, Message};

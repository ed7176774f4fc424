//! The functions of librdkafka that rdkafka does not wrap. The only `unsafe` of the
//! workspace is here, each block with its argument.

mod headers;
mod partition_queue;
mod topic_id;
mod watermarks;

pub use headers::add_header;
pub use partition_queue::{Message, Messages, PartitionQueue, QueueError};
pub use topic_id::{TopicIdError, topic_id};
pub use watermarks::cached_watermarks;

use std::sync::Arc;

use agent::KafkaContext;
use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext, StreamConsumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::types::RDKafkaRespErr;
use tokio::sync::mpsc;
use tracing::warn;

use crate::statistics::Heard;
use crate::status::Status;

/// The client that is a member of the group.
pub(crate) type TickConsumer = StreamConsumer<Membership>;

/// A change of the partitions that the group gives this consumer.
pub(crate) enum Change {
    Assigned(TopicPartitionList),
    Revoked {
        partitions: TopicPartitionList,
        /// The group has taken this consumer for dead.
        is_lost: bool,
    },
}

/// librdkafka's callbacks: they only hand messages to [`crate::group::serve`], which
/// alone owns the assignment, and report to the status who answers.
pub(crate) struct Membership {
    changes: mpsc::UnboundedSender<Change>,
    context: KafkaContext,
    topic: String,
    status: Arc<Status>,
}

impl Membership {
    /// Returns the callbacks, and the changes that they hand over.
    pub(crate) fn new(
        topic: &str,
        status: &Arc<Status>,
    ) -> (Self, mpsc::UnboundedReceiver<Change>) {
        let (changes, changed) = mpsc::unbounded_channel();
        let membership = Self {
            changes,
            context: KafkaContext::default(),
            topic: topic.to_owned(),
            status: Arc::clone(status),
        };
        (membership, changed)
    }
}

impl ClientContext for Membership {
    agent::shared_callbacks!(context);

    fn stats_raw(&self, statistics: &[u8]) {
        match Heard::read(statistics, &self.topic) {
            Ok(heard) => self.status.heard(&heard),
            Err(error) => {
                warn!(
                    %error,
                    "cannot read librdkafka's statistics; this is a fault in tick-consumer"
                )
            }
        }
    }
}

impl ConsumerContext for Membership {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        event: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let change = match event {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                Change::Assigned(partitions.clone())
            }
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS => Change::Revoked {
                partitions: partitions.clone(),
                is_lost: consumer.assignment_lost(),
            },
            event => {
                let error = RDKafkaErrorCode::from(event);
                return warn!(%error, "rebalance failed, the group tries again");
            }
        };
        if self.changes.send(change).is_err() {
            // `serve` has ended and the consumer is closing, which waits for the
            // partitions to be given back.
            if let Err(error) = consumer.incremental_unassign(partitions) {
                warn!(%error, "cannot give partitions back");
            }
        }
    }
}

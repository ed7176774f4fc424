use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use fastrand::Rng;
use local::Kafka;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

/// Short, as one of the brokers may have been killed.
const BROKER_TIMEOUT: Duration = Duration::from_secs(2);

/// Deletes records from the log's start, as a topic's retention does, and remembers them.
pub(crate) struct Retention {
    admin: AdminClient<DefaultClientContext>,
    client: Arc<BaseConsumer>,
    topic: String,
    partitions: i32,
    rng: Rng,
    /// By partition, the offset below which records may be gone.
    taken: BTreeMap<i32, i64>,
}

impl Retention {
    pub(crate) fn new(kafka: &Kafka, topic: &str, partitions: i32, seed: u64) -> Result<Self> {
        let mut config = ClientConfig::new();
        // Retention ignores transactions: it may delete a part of an open one.
        config
            .set("bootstrap.servers", kafka.brokers())
            .set("isolation.level", "read_uncommitted")
            .set("log_level", "0");
        let admin = kafka.admin()?;
        let client = Arc::new(config.create()?);
        let rng = Rng::with_seed(seed ^ 0xde1e7e);
        Ok(Self {
            admin,
            client,
            topic: topic.to_owned(),
            partitions,
            rng,
            taken: BTreeMap::new(),
        })
    }

    /// Deletes a part of every partition or the whole, even if it has not landed.
    pub(crate) async fn take(&mut self) -> Result<()> {
        let mut before = TopicPartitionList::new();
        for partition in 0..self.partitions {
            let client = Arc::clone(&self.client);
            let topic = self.topic.clone();
            let bounds = tokio::task::spawn_blocking(move || {
                client.fetch_watermarks(&topic, partition, BROKER_TIMEOUT)
            })
            .await?;
            // A partition without a leader keeps its records.
            let Ok((start, end)) = bounds else { continue };
            let upto = if self.rng.bool() {
                end
            } else {
                self.rng.i64(start..=end)
            };
            before.add_partition_offset(&self.topic, partition, Offset::Offset(upto))?;
            // Noted before the request, which may succeed without an answer.
            let taken = self.taken.entry(partition).or_default();
            *taken = upto.max(*taken);
        }
        let options = AdminOptions::new()
            .request_timeout(Some(BROKER_TIMEOUT))
            .operation_timeout(Some(BROKER_TIMEOUT));
        // A killed broker deletes nothing.
        let _ = self.admin.delete_records(&before, &options).await;
        Ok(())
    }

    /// Returns true if a record may be gone from the log.
    pub(crate) fn may_have_taken(&self, partition: i32, offset: i64) -> bool {
        self.taken
            .get(&partition)
            .is_some_and(|taken| offset < *taken)
    }
}

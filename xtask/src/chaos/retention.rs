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

/// How long brokers may take: one of them may have been killed.
const PATIENCE: Duration = Duration::from_secs(2);

/// Takes records from the log's start, as a topic's retention does, and knows which.
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
        // Retention does not look at transactions: it goes on into one that is open.
        config
            .set("bootstrap.servers", kafka.brokers())
            .set("isolation.level", "read_uncommitted")
            .set("log_level", "0");
        let (admin, client) = (kafka.admin()?, Arc::new(config.create()?));
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

    /// Takes a part of every partition, or all that there is, whether it has landed or
    /// not.
    pub(crate) async fn take(&mut self) -> Result<()> {
        let mut before = TopicPartitionList::new();
        for partition in 0..self.partitions {
            let (client, topic) = (Arc::clone(&self.client), self.topic.clone());
            let bounds = tokio::task::spawn_blocking(move || {
                client.fetch_watermarks(&topic, partition, PATIENCE)
            })
            .await?;
            // A partition without a leader keeps what it has.
            let Ok((start, end)) = bounds else { continue };
            let upto = if self.rng.bool() {
                end
            } else {
                self.rng.i64(start..=end)
            };
            before.add_partition_offset(&self.topic, partition, Offset::Offset(upto))?;
            // Noted before it happens, as it may happen without an answer.
            let taken = self.taken.entry(partition).or_default();
            *taken = upto.max(*taken);
        }
        let options = AdminOptions::new()
            .request_timeout(Some(PATIENCE))
            .operation_timeout(Some(PATIENCE));
        // A broker that was killed takes nothing.
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

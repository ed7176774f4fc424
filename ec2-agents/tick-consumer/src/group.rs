use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use agent::ClientLogs;
use anyhow::{Context as _, Result, bail};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientConfig, TopicPartitionList};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::Config;
use crate::lake_bucket::LakeBucket;
use crate::partition::{PartitionReader, Stop};
use crate::seal::Sealer;

/// How long a partition that is revoked, or a consumer that is told to stop, may take to seal what is open. What is not sealed by then is dropped:
/// it is not committed, and is read again.
const GRACE: Duration = Duration::from_secs(10);

pub(crate) type TickConsumer = StreamConsumer<Membership>;

/// A change of the partitions that the group gives this consumer.
enum Change {
    Assigned(TopicPartitionList),
    Revoked(TopicPartitionList),
}

/// librdkafka's callbacks: they only hand messages to [`serve`], which alone owns the assignment.
pub(crate) struct Membership {
    changes: mpsc::UnboundedSender<Change>,
}

impl ClientContext for Membership {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        ClientLogs.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        ClientLogs.error(error, reason);
    }
}

impl ConsumerContext for Membership {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, event: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        let change = match event {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => Change::Assigned(partitions.clone()),
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS => Change::Revoked(partitions.clone()),
            event => return warn!(error = %RDKafkaErrorCode::from(event), "rebalance failed, the group tries again"),
        };
        if self.changes.send(change).is_err() {
            // `serve` has ended and the consumer is closing, which waits for the partitions to be given back.
            if let Err(error) = consumer.incremental_unassign(partitions) {
                warn!(%error, "cannot give partitions back");
            }
        }
    }
}

/// Reads the partitions that the group gives this consumer, until `shutdown`.
pub(crate) async fn serve(config: Arc<Config>, bucket: LakeBucket, shutdown: CancellationToken) -> Result<()> {
    let (changes, mut changed) = mpsc::unbounded_channel();
    let consumer: TickConsumer = client_config(&config).create_with_context(Membership { changes }).context("kafka.options")?;
    let consumer = Arc::new(consumer);
    consumer.subscribe(&[&config.kafka.topic])?;
    let mut readers = Readers { config, consumer: Arc::clone(&consumer), bucket, stops: HashMap::new(), tasks: JoinSet::new() };
    let outcome = loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break Ok(()),
            Some(ended) = readers.tasks.join_next() => {
                if let Err(error) = ended.context("a partition's task panicked").and_then(|ended| ended) {
                    break Err(error);
                }
            }
            Some(change) = changed.recv() => {
                let done = match change {
                    Change::Assigned(partitions) => readers.start(&partitions),
                    Change::Revoked(partitions) => readers.give_back(&partitions).await,
                };
                if let Err(error) = done {
                    break Err(error);
                }
            }
            polled = consumer.recv() => match polled {
                Ok(_) => break Err(anyhow::anyhow!("a record came outside its partition's queue; this is a fault in tick-consumer, nothing was committed past it")),
                Err(error) => warn!(%error, "Kafka is in trouble, the client goes on trying"),
            },
        }
    };
    let stopped = readers.stop_all().await;
    drop(changed);
    info!("leaving the group");
    outcome.and(stopped)
}

fn client_config(config: &Config) -> ClientConfig {
    let mut client = config.kafka.client_config();
    client
        .set("group.id", &config.group.id)
        // Revokes only what moves; the others go on reading.
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("allow.auto.create.topics", "false")
        // Per partition; the default of 64 MiB times a dozen partitions is more than the process should take.
        .set("queued.max.messages.kbytes", "16384")
        .set("fetch.queue.backoff.ms", "5");
    client
}

/// The partitions being read, each by a task of its own.
struct Readers {
    config: Arc<Config>,
    consumer: Arc<TickConsumer>,
    bucket: LakeBucket,
    stops: HashMap<i32, Stop>,
    tasks: JoinSet<Result<()>>,
}

impl Readers {
    /// Starts to read partitions. Their queues are split off before they are assigned: librdkafka leaves a queue alone that the application has forwarded,
    /// so that no record ever comes through the consumer's own queue.
    fn start(&mut self, partitions: &TopicPartitionList) -> Result<()> {
        for element in partitions.elements() {
            let (topic, partition) = (element.topic(), element.partition());
            let Some(queue) = self.consumer.split_partition_queue(topic, partition) else {
                bail!("partition {partition} of topic {topic:?} has no queue");
            };
            let stop = Stop::default();
            let sealer = Sealer {
                consumer: Arc::clone(&self.consumer),
                bucket: self.bucket.clone(),
                format: self.config.lake.format,
                topic: topic.to_owned(),
                partition,
            };
            let (policy, routing) = (self.config.seal_policy(), self.config.routing());
            let reader = PartitionReader { queue, sealer, policy, routing, stop: stop.clone() };
            self.tasks.spawn(reader.run());
            self.stops.insert(partition, stop);
            info!(topic, partition, "partition assigned");
        }
        self.consumer.incremental_assign(partitions).context("cannot take the partitions that the group assigned")
    }

    /// Seals and stops partitions, then tells the group that they are free.
    async fn give_back(&mut self, partitions: &TopicPartitionList) -> Result<()> {
        let stops: Vec<Stop> = partitions.elements().iter().filter_map(|element| self.stops.remove(&element.partition())).collect();
        // The tasks of the other partitions go on, so those that end are counted.
        self.stop(stops.len(), stops).await?;
        info!(partitions = partitions.count(), "partitions revoked");
        self.consumer.incremental_unassign(partitions).context("cannot give partitions back")
    }

    async fn stop_all(&mut self) -> Result<()> {
        let stops = self.stops.drain().map(|(_, stop)| stop).collect();
        self.stop(self.tasks.len(), stops).await
    }

    /// Asks tasks to finish, after the grace to give up, and waits until this many have ended.
    async fn stop(&mut self, count: usize, stops: Vec<Stop>) -> Result<()> {
        stops.iter().for_each(|stop| stop.finish.cancel());
        let give_up = tokio::spawn(async move {
            tokio::time::sleep(GRACE).await;
            stops.iter().for_each(|stop| stop.give_up.cancel());
        });
        let mut outcome = Ok(());
        for _ in 0..count {
            if let Some(ended) = self.tasks.join_next().await {
                outcome = outcome.and(ended.context("a partition's task panicked").and_then(|ended| ended));
            }
        }
        give_up.abort();
        outcome
    }
}

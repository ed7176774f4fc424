use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use agent::KafkaContext;
use anyhow::{Context as _, Result, bail};
use kafka_native::PartitionQueue;
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::{Config, GroupProtocol};
use crate::lake_bucket::LakeBucket;
use crate::memory::{Memory, Shares};
use crate::partition::{PartitionReader, Stop};
use crate::repairs::Repairs;
use crate::sealer::Sealer;
use crate::statistics::{self, Heard};
use crate::status::Status;
use crate::topic::Topic;

/// How long a partition that is revoked, or a consumer that is told to stop, may take to
/// seal what is open. What is not sealed by then is dropped: it is still in Kafka, and
/// what was begun is completed by whoever has the partition next. With the last commit
/// and the goodbye to the group it makes less than 5 s.
const GRACE: Duration = Duration::from_millis(2_500);

pub(crate) type TickConsumer = StreamConsumer<Membership>;

/// A change of the partitions that the group gives this consumer.
enum Change {
    Assigned(TopicPartitionList),
    Revoked {
        partitions: TopicPartitionList,
        /// The group has taken this consumer for dead.
        is_lost: bool,
    },
}

/// librdkafka's callbacks: they only hand messages to [`serve`], which alone owns the
/// assignment, and tell the status who answers.
pub(crate) struct Membership {
    changes: mpsc::UnboundedSender<Change>,
    context: KafkaContext,
    topic: String,
    status: Arc<Status>,
}

impl ClientContext for Membership {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = KafkaContext::ENABLE_REFRESH_OAUTH_TOKEN;

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        self.context.generate_oauth_token(config)
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.context.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.context.error(error, reason);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        match Heard::read(statistics, &self.topic) {
            Ok(heard) => self.status.heard(&heard),
            Err(error) => {
                warn!(%error, "cannot read librdkafka's statistics; this is a fault in tick-consumer")
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
                return warn!(error = %RDKafkaErrorCode::from(event), "rebalance failed, the group tries again");
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

/// What serving a group takes.
pub(crate) struct Setup {
    pub(crate) config: Arc<Config>,
    pub(crate) bucket: LakeBucket,
    pub(crate) topic: Arc<Topic>,
    /// Partitions of the topic.
    pub(crate) partitions: u64,
    pub(crate) status: Arc<Status>,
}

/// Reads the partitions that the group gives this consumer, until `shutdown`.
pub(crate) async fn serve(setup: Setup, shutdown: CancellationToken) -> Result<()> {
    let config = Arc::clone(&setup.config);
    let (changes, mut changed) = mpsc::unbounded_channel();
    let shares = Shares::of(config.memory.limit.0, setup.partitions)?;
    let membership = Membership {
        changes,
        context: KafkaContext::default(),
        topic: config.kafka.topic.clone(),
        status: Arc::clone(&setup.status),
    };
    let consumer: TickConsumer = client_config(&config, &shares)
        .create_with_context(membership)
        .context("kafka.options")?;
    let consumer = Arc::new(consumer);
    consumer.subscribe(&[&config.kafka.topic])?;
    let memory = Memory::new(shares.batches);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut readers = Readers {
        setup,
        consumer: Arc::clone(&consumer),
        repairs: Repairs::new(&config.kafka, &memory),
        memory,
        encoders: Arc::new(Semaphore::new(cores)),
        stops: HashMap::new(),
        tasks: JoinSet::new(),
    };
    let outcome = loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break Ok(()),
            Some(ended) = readers.tasks.join_next() => {
                if let Err(error) = ended {
                    break Err(error).context("a partition's task panicked");
                }
            }
            Some(change) = changed.recv() => {
                let done = match change {
                    Change::Assigned(partitions) => readers.start(&partitions).await,
                    Change::Revoked { partitions, is_lost } => {
                        if is_lost {
                            readers.setup.status.lost();
                        }
                        readers.give_back(&partitions).await
                    }
                };
                if let Err(error) = done {
                    break Err(error);
                }
            }
            polled = consumer.recv() => match polled {
                Ok(_) => break Err(anyhow::anyhow!("a record came outside its partition's queue; this is a fault in tick-consumer, nothing was committed past it")),
                Err(error) => match consumer.client().fatal_error() {
                    Some((RDKafkaErrorCode::FencedInstanceId, _)) => break Err(anyhow::anyhow!(
                        "another consumer has joined group {:?} as {:?}, or this one was away for longer than its session\n  \
                         start it again, and give each consumer a group.instance_id of its own",
                        readers.setup.config.group.id,
                        readers.setup.config.group.instance_id.as_deref().unwrap_or_default()
                    )),
                    Some((_, reason)) => break Err(anyhow::anyhow!("the Kafka client cannot go on: {reason}")),
                    None => warn!(%error, "Kafka is in trouble, the client goes on trying"),
                },
            },
        }
    };
    let stopped = readers.stop_all().await;
    drop(changed);
    info!("leaving the group");
    outcome.and(stopped)
}

pub(crate) fn client_config(config: &Config, shares: &Shares) -> ClientConfig {
    let mut client = config.kafka.client_config();
    client.set("group.id", &config.group.id);
    match config.group.protocol {
        // Revokes only what moves; the others go on reading.
        GroupProtocol::Classic => client.set("partition.assignment.strategy", "cooperative-sticky"),
        GroupProtocol::Consumer => client.set("group.protocol", "consumer"),
    };
    if let Some(id) = &config.group.instance_id {
        client.set("group.instance.id", id);
    }
    let queue_kilobytes = shares.queue >> 10;
    client
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // Every partition is sought to where the lake ends. Where the log no longer has
        // that, librdkafka goes on at its start and the reader sees the hole; at "error"
        // it would stop the partition in a state in which it refuses to seek.
        .set("auto.offset.reset", "earliest")
        .set("isolation.level", "read_committed")
        .set("allow.auto.create.topics", "false")
        // For each partition. A fetch is begun while the queue is below its bound, so a
        // queue may hold one fetch more.
        .set("queued.max.messages.kbytes", queue_kilobytes.to_string())
        .set(
            "fetch.message.max.bytes",
            shares.queue.min(1 << 20).to_string(),
        )
        .set("fetch.max.bytes", shares.fetch.to_string())
        .set("fetch.queue.backoff.ms", "5")
        .set(
            "statistics.interval.ms",
            statistics::INTERVAL.as_millis().to_string(),
        );
    client
}

/// The partitions being read, each by a task of its own.
struct Readers {
    setup: Setup,
    consumer: Arc<TickConsumer>,
    memory: Arc<Memory>,
    repairs: Repairs,
    encoders: Arc<Semaphore>,
    stops: HashMap<i32, Stop>,
    tasks: JoinSet<()>,
}

impl Readers {
    /// Starts to read partitions. Their queues are split off before they are assigned:
    /// librdkafka leaves a queue alone that the application has forwarded, so that no
    /// record ever comes through the consumer's own queue. They are assigned paused; each
    /// partition's task seeks to where the lake ends, which may take as long as S3 is
    /// away, and the group must not wait for it.
    async fn start(&mut self, partitions: &TopicPartitionList) -> Result<()> {
        // librdkafka may take a static member's partitions back without a word while it
        // joins, and assign them anew.
        let again: Vec<Stop> = partitions
            .elements()
            .iter()
            .filter_map(|element| self.stops.remove(&element.partition()))
            .collect();
        if !again.is_empty() {
            warn!(
                partitions = again.len(),
                "partitions are assigned again that were not revoked"
            );
            self.stop(again.len(), again).await?;
        }
        let mut paused = TopicPartitionList::new();
        for element in partitions.elements() {
            let (topic, partition) = (element.topic(), element.partition());
            let Some(queue) = PartitionQueue::split(&self.consumer, topic, partition) else {
                bail!("partition {partition} of topic {topic:?} has no queue");
            };
            paused.add_partition_offset(topic, partition, Offset::Offset(0))?;
            self.read(queue, partition);
            info!(partition, "partition assigned");
        }
        metrics::counter!("ticklake_rebalances_total").increment(1);
        self.setup.status.joined();
        self.consumer
            .pause(&paused)
            .context("cannot pause partitions")?;
        self.consumer
            .incremental_assign(&paused)
            .context("cannot take the partitions that the group assigned")
    }

    fn read(&mut self, queue: PartitionQueue<TickConsumer>, partition: i32) {
        let Setup {
            config,
            bucket,
            topic,
            status,
            ..
        } = &self.setup;
        let (stop, place) = (Stop::default(), Arc::new(status.place(partition)));
        let sealer = Sealer {
            consumer: Arc::clone(&self.consumer),
            format: config.lake.format,
            topic: topic.name().to_owned(),
            partition,
            place: Arc::clone(&place),
            encoders: Arc::clone(&self.encoders),
        };
        let reader = PartitionReader {
            sealer,
            policy: config.seal_policy(),
            rules: config.rules(),
            repairs: self.repairs.clone(),
            bucket: bucket.clone(),
            topic: Arc::clone(topic),
            memory: Arc::clone(&self.memory),
            stop: stop.clone(),
            place,
            moved: (-1, Instant::now()),
            has_read: false,
        };
        self.tasks.spawn(reader.run(queue));
        self.stops.insert(partition, stop);
    }

    /// Seals and stops partitions, then tells the group that they are free.
    async fn give_back(&mut self, partitions: &TopicPartitionList) -> Result<()> {
        let stops: Vec<Stop> = partitions
            .elements()
            .iter()
            .filter_map(|element| self.stops.remove(&element.partition()))
            .collect();
        // The tasks of the other partitions go on, so those that end are counted.
        self.stop(stops.len(), stops).await?;
        info!(partitions = partitions.count(), "partitions revoked");
        self.consumer
            .incremental_unassign(partitions)
            .context("cannot give partitions back")
    }

    async fn stop_all(&mut self) -> Result<()> {
        let stops = self.stops.drain().map(|(_, stop)| stop).collect();
        self.stop(self.tasks.len(), stops).await
    }

    /// Asks tasks to finish, after the grace to give up, and waits until this many have
    /// ended.
    async fn stop(&mut self, count: usize, stops: Vec<Stop>) -> Result<()> {
        stops.iter().for_each(|stop| stop.finish.cancel());
        let give_up = tokio::spawn(async move {
            tokio::time::sleep(GRACE).await;
            stops.iter().for_each(|stop| stop.give_up.cancel());
        });
        let mut outcome = Ok(());
        for _ in 0..count {
            if let Some(ended) = self.tasks.join_next().await {
                outcome = outcome.and(ended.context("a partition's task panicked"));
            }
        }
        give_up.abort();
        outcome
    }
}

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Error, Result, anyhow, bail};
use futures::future::{join_all, select_all};
use kafka_native::PartitionQueue;
use rdkafka::consumer::Consumer as _;
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tracing::{Instrument as _, error_span, info, warn};

use crate::config::Config;
use crate::lake_bucket::LakeBucket;
use crate::membership::TickConsumer;
use crate::memory::Memory;
use crate::metrics;
use crate::partition::{Moved, PartitionReader, Stop};
use crate::repairs::Repairs;
use crate::sealer::Sealer;
use crate::status::Status;
use crate::topic::Topic;

/// The limit for sealing open batches if a partition is revoked or the consumer stops. A
/// batch that is not sealed by then is dropped: it is still in Kafka, and the partition's
/// next consumer completes a seal that was begun. With the last commit and the goodbye to
/// the group it makes less than 5 s.
const SEAL_GRACE: Duration = Duration::from_millis(2_500);

/// The parts that serving a group needs.
pub(crate) struct Setup {
    pub(crate) config: Arc<Config>,
    pub(crate) bucket: LakeBucket,
    pub(crate) topic: Arc<Topic>,
    /// Partitions of the topic.
    pub(crate) partitions: u64,
    pub(crate) status: Arc<Status>,
}

/// The partitions being read, each by a task of its own.
pub(crate) struct Readers {
    setup: Setup,
    consumer: Arc<TickConsumer>,
    memory: Arc<Memory>,
    repairs: Repairs,
    encoders: Arc<Semaphore>,
    readers: HashMap<i32, Reader>,
}

/// A partition's task.
struct Reader {
    stop: Stop,
    task: JoinHandle<()>,
}

impl Readers {
    pub(crate) fn new(setup: Setup, consumer: Arc<TickConsumer>, batch_bytes: u64) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let memory = Memory::new(batch_bytes);
        Self {
            repairs: Repairs::new(&setup.config.kafka, &memory),
            setup,
            consumer,
            memory,
            encoders: Arc::new(Semaphore::new(cores)),
            readers: HashMap::new(),
        }
    }

    /// Starts to read partitions. Their queues are split off before they are assigned:
    /// librdkafka leaves a queue alone that the application has forwarded, so that no
    /// record ever comes through the consumer's own queue. They are assigned paused; each
    /// partition's task seeks to the end of the lake. That may take as long as S3 is
    /// away, and the group must not wait for it.
    pub(crate) async fn start(&mut self, partitions: &TopicPartitionList) -> Result<()> {
        // librdkafka may take a static member's partitions back without a word while it
        // joins, and assign them again.
        let again = self.take(partitions);
        if !again.is_empty() {
            warn!(
                partitions = again.len(),
                "partitions are assigned again that were not revoked"
            );
            stop(again).await?;
        }
        let mut paused = TopicPartitionList::new();
        for element in partitions.elements() {
            let (topic, partition) = (element.topic(), element.partition());
            let Some(queue) = PartitionQueue::split(&self.consumer, topic, partition) else {
                bail!("partition {partition} of topic {topic:?} has no queue");
            };
            paused.add_partition_offset(topic, partition, Offset::Offset(0))?;
            self.read(queue, partition);
            info!(
                event = "partition_assigned",
                partition, "partition assigned"
            );
        }
        metrics::REBALANCES.count(1);
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
        let stop = Stop::default();
        let sealer = Sealer {
            consumer: Arc::clone(&self.consumer),
            format: config.lake.format,
            topic: topic.name().to_owned(),
            partition,
            place: Arc::new(status.place(partition)),
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
            moved: Moved::never(),
            has_read: false,
        };
        // At the level of errors, so that lines name the partition at every RUST_LOG.
        let span = error_span!("partition", partition);
        let task = tokio::spawn(reader.run(queue).instrument(span));
        self.readers.insert(partition, Reader { stop, task });
    }

    /// Seals and stops partitions, then tells the group that they are free.
    pub(crate) async fn give_back(&mut self, partitions: &TopicPartitionList) -> Result<()> {
        stop(self.take(partitions)).await?;
        info!(
            event = "partitions_revoked",
            partitions = partitions.count(),
            "partitions revoked"
        );
        self.consumer
            .incremental_unassign(partitions)
            .context("cannot give partitions back")
    }

    pub(crate) async fn stop_all(self) -> Result<()> {
        stop(self.readers.into_values().collect()).await
    }

    /// Waits until a task ends unasked; returns why it did.
    pub(crate) async fn ended(&mut self) -> Error {
        if self.readers.is_empty() {
            return std::future::pending().await;
        }
        let tasks = self.readers.iter_mut();
        let tasks = tasks
            .map(|(partition, reader)| Box::pin(async { (*partition, (&mut reader.task).await) }));
        let ((partition, ended), ..) = select_all(tasks).await;
        // It is not waited for any more.
        self.readers.remove(&partition);
        let cause = ended
            .err()
            .map_or_else(|| anyhow!("no shutdown was requested"), Error::from);
        cause.context(format!(
            "the task of partition {partition} has ended; this is a fault in tick-consumer"
        ))
    }

    fn take(&mut self, partitions: &TopicPartitionList) -> Vec<Reader> {
        let partitions = partitions.elements();
        let readers = partitions.iter().map(|element| element.partition());
        readers
            .filter_map(|partition| self.readers.remove(&partition))
            .collect()
    }
}

/// Asks tasks to finish, after the grace to give up, and waits until they have ended.
async fn stop(readers: Vec<Reader>) -> Result<()> {
    let (stops, tasks): (Vec<Stop>, Vec<JoinHandle<()>>) = readers
        .into_iter()
        .map(|reader| (reader.stop, reader.task))
        .unzip();
    stops.iter().for_each(|stop| stop.finish.cancel());
    let mut ended = join_all(tasks);
    let ended = match tokio::time::timeout(SEAL_GRACE, &mut ended).await {
        Ok(ended) => ended,
        Err(_) => {
            stops.iter().for_each(|stop| stop.give_up.cancel());
            ended.await
        }
    };
    let ended: Result<Vec<()>, _> = ended.into_iter().collect();
    ended.context("a partition's task panicked")?;
    Ok(())
}

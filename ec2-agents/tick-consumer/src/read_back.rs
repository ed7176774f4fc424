use std::sync::Arc;
use std::time::Duration;

use agent::{Kafka, KafkaContext};
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use kafka_native::PartitionQueue;
use lake::Record;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use tokio::runtime::Handle;
use tokio::time::Instant;
use tracing::warn;

/// How long to wait for the brokers, or for the next record, before a read is given up,
/// to be tried again.
const PATIENCE: Duration = Duration::from_secs(20);
/// Time between two looks at what else the client has to say.
const LOOK: Duration = Duration::from_millis(500);
/// Bounds the client's queue and each of its fetches; the queue may hold one fetch more.
pub(crate) const QUEUE: u64 = 512 << 10;

type Client = BaseConsumer<KafkaContext>;

/// An offset range of the log that is read once more, by a client of its own that is in
/// no group.
pub(crate) struct LogRange {
    queue: PartitionQueue<Client>,
    client: Arc<Client>,
    /// For messages: the partition and its topic.
    place: String,
    next: i64,
    last: i64,
    /// The log's start as it was before the first record was read.
    start: i64,
    is_lenient: bool,
}

impl LogRange {
    /// Begins to read. Blocks. A lenient reader passes over errors and ends if nothing
    /// more comes.
    ///
    /// # Errors
    /// The brokers do not answer, or the log ends before the range does.
    pub(crate) fn open(
        kafka: &Kafka,
        partition: i32,
        (first, last): (i64, i64),
        is_lenient: bool,
    ) -> Result<Self> {
        let topic = &kafka.topic;
        let mut client = kafka.client_config();
        // A consumer has to name a group; one that only assigns never joins it, and
        // commits nothing.
        client
            .set("group.id", "ticklake-read-back")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true");
        client
            .set("auto.offset.reset", "error")
            .set("queued.max.messages.kbytes", (QUEUE >> 10).to_string());
        client
            .set("fetch.message.max.bytes", QUEUE.to_string())
            .set("fetch.queue.backoff.ms", "5");
        let client: Client = client
            .create_with_context(KafkaContext::default())
            .context("kafka.options")?;
        kafka.sign_in(&client);
        let place = format!("partition {partition} of topic {topic:?}");
        let (start, end) = client
            .fetch_watermarks(topic, partition, PATIENCE)
            .with_context(|| format!("cannot read the bounds of {place}"))?;
        ensure!(
            end > last,
            "{place} ends at {end}, and offset {last} was read before"
        );
        let client = Arc::new(client);
        // Split off before it is assigned, as the consumer's own.
        let queue = PartitionQueue::split(&client, topic, partition)
            .with_context(|| format!("{place} has no queue"))?;
        let next = first.max(start);
        if next <= last {
            let mut assignment = TopicPartitionList::new();
            assignment.add_partition_offset(topic, partition, Offset::Offset(next))?;
            client.assign(&assignment)?;
        }
        Ok(Self {
            queue,
            client,
            place,
            next,
            last,
            start,
            is_lenient,
        })
    }

    /// Returns the log's start as it was before the first record was read.
    pub(crate) fn start(&self) -> i64 {
        self.start
    }

    /// Hands the records to `each` that have come, in order. Returns false at the end of
    /// the range.
    ///
    /// # Errors
    /// The brokers do not answer, the log ends before the range does or lost a part of it
    /// meanwhile, or `each` fails.
    pub(crate) async fn read(
        &mut self,
        mut each: impl FnMut(&Record<'_>) -> Result<()>,
    ) -> Result<bool> {
        let Self {
            queue,
            client,
            place,
            next,
            last,
            is_lenient,
            ..
        } = self;
        let deadline = Instant::now() + PATIENCE;
        while *next <= *last {
            // A poll renews tokens, and tells why a connection failed.
            match client.poll(Duration::ZERO) {
                Some(Err(error)) if *is_lenient => {
                    warn!(place, %error, "cannot read again, the client goes on trying")
                }
                Some(Err(error)) => {
                    return Err(anyhow!(error)
                        .context(format!("cannot read offset {next} of {place} again")));
                }
                Some(Ok(_)) | None => {}
            }
            if Instant::now() > deadline {
                ensure!(
                    *is_lenient,
                    "no record of {place} from offset {next} on within {} s",
                    PATIENCE.as_secs()
                );
                return Ok(false);
            }
            let Ok(messages) = tokio::time::timeout(LOOK, queue.recv()).await else {
                continue;
            };
            let mut has_records = false;
            for message in messages.iter() {
                let message = match message {
                    Ok(message) if message.offset() <= *last => message,
                    // The log does not have the rest of the range.
                    Ok(_) => return Ok(false),
                    Err(error)
                        if error.code == RDKafkaErrorCode::PartitionEOF
                            && (error.offset > *last || *is_lenient) =>
                    {
                        return Ok(false);
                    }
                    // A new leader may know of a lower end for a while.
                    Err(error) if error.code == RDKafkaErrorCode::PartitionEOF => {
                        bail!(
                            "{place} may be read up to offset {}, and offset {last} was read before",
                            error.offset
                        )
                    }
                    Err(error) if *is_lenient => {
                        warn!(place, %error, "cannot read again, and goes on behind it");
                        continue;
                    }
                    Err(error) => {
                        return Err(anyhow!(error)
                            .context(format!("cannot read offset {next} of {place} again")));
                    }
                };
                let headers = message.headers();
                each(&Record {
                    offset: message.offset(),
                    timestamp_ms: message.timestamp_ms(),
                    key: message.key(),
                    value: message.value(),
                    headers: &headers,
                })?;
                *next = message.offset() + 1;
                has_records = true;
            }
            if has_records {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Reads the records of an offset range from the log once more. Blocks, on a thread of
/// the runtime for that.
///
/// `each` gets every record that the log still has, in order. Returns the log's start as
/// it was before the first record was read.
///
/// # Errors
/// As for [`LogRange`].
pub(crate) fn read_back(
    kafka: &Kafka,
    partition: i32,
    range: (i64, i64),
    mut each: impl FnMut(&Record<'_>) -> Result<()>,
) -> Result<i64> {
    let mut log = LogRange::open(kafka, partition, range, false)?;
    Handle::current().block_on(async {
        while log.read(&mut each).await? {}
        Ok(log.start())
    })
}

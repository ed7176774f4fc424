use std::sync::Arc;
use std::time::Duration;

use agent::{KafkaContext, KafkaSettings};
use kafka_native::{PartitionQueue, QueueError};
use lake::Record;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio::runtime::Handle;
use tokio::time::Instant;
use tracing::warn;

use crate::log_error::LogError;

/// How long to wait for the brokers, or for the next record, before a read is given up,
/// to be tried again.
const READ_TIMEOUT: Duration = Duration::from_secs(20);
/// Time between two polls of the client while no record comes.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// Bounds the client's queue and each of its fetches; the queue may hold one fetch more.
pub(crate) const QUEUE_BYTES: u64 = 512 << 10;

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
        kafka: &KafkaSettings,
        partition: i32,
        (first, last): (i64, i64),
        is_lenient: bool,
    ) -> Result<Self, LogError> {
        let topic = &kafka.topic;
        let place = format!("partition {partition} of topic {topic:?}");
        let client: Client = client_config(kafka)
            .create_with_context(KafkaContext::default())
            .map_err(LogError::kafka("kafka.options"))?;
        kafka.sign_in(&client);
        let (start, end) = client
            .fetch_watermarks(topic, partition, READ_TIMEOUT)
            .map_err(LogError::kafka(format!(
                "cannot read the bounds of {place}"
            )))?;
        if end <= last {
            return Err(LogError::Short { place, end, last });
        }
        let client = Arc::new(client);
        // Split off before it is assigned, as the consumer's own.
        let queue = PartitionQueue::split(&client, topic, partition)
            .ok_or("it has no queue")
            .map_err(LogError::kafka(format!("cannot read {place}")))?;
        let next = first.max(start);
        if next <= last {
            let mut assignment = TopicPartitionList::new();
            assignment
                .add_partition_offset(topic, partition, Offset::Offset(next))
                .and_then(|()| client.assign(&assignment))
                .map_err(LogError::kafka(format!("cannot read {place}")))?;
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
        mut each: impl FnMut(&Record<'_>) -> Result<(), LogError>,
    ) -> Result<bool, LogError> {
        let deadline = Instant::now() + READ_TIMEOUT;
        while self.next <= self.last {
            self.poll()?;
            if Instant::now() > deadline {
                if self.is_lenient {
                    return Ok(false);
                }
                return Err(LogError::Silent {
                    place: self.place.clone(),
                    next: self.next,
                    seconds: READ_TIMEOUT.as_secs(),
                });
            }
            let Ok(messages) = tokio::time::timeout(POLL_INTERVAL, self.queue.recv()).await else {
                continue;
            };
            let begun_at = self.next;
            for message in messages.iter() {
                let message = match message {
                    Ok(message) if message.offset() <= self.last => message,
                    // The log does not have the rest of the range.
                    Ok(_) => return Ok(false),
                    Err(error) if self.is_end(&error)? => return Ok(false),
                    // A lenient reader goes on behind it.
                    Err(_) => continue,
                };
                let headers = message.headers();
                each(&Record {
                    offset: message.offset(),
                    timestamp_ms: message.timestamp_ms(),
                    key: message.key(),
                    value: message.value(),
                    headers: &headers,
                })?;
                self.next = message.offset() + 1;
            }
            if self.next > begun_at {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Polls the client, which renews tokens and reports why a connection failed.
    fn poll(&self) -> Result<(), LogError> {
        let (place, next) = (&self.place, self.next);
        match self.client.poll(Duration::ZERO) {
            Some(Err(error)) if self.is_lenient => {
                warn!(place, %error, "cannot read again, the client goes on trying");
                Ok(())
            }
            Some(Err(error)) => Err(LogError::kafka(format!(
                "cannot read offset {next} of {place} again"
            ))(error)),
            Some(Ok(_)) | None => Ok(()),
        }
    }

    /// Returns true if an error among the messages is the end of the range, and false if
    /// a lenient reader may pass over it.
    fn is_end(&self, error: &QueueError) -> Result<bool, LogError> {
        let (place, next, last) = (&self.place, self.next, self.last);
        match error.code {
            RDKafkaErrorCode::PartitionEOF if error.offset > last || self.is_lenient => Ok(true),
            RDKafkaErrorCode::PartitionEOF => Err(LogError::Short {
                place: place.clone(),
                end: error.offset,
                last,
            }),
            _ if self.is_lenient => {
                warn!(place, %error, "cannot read again, and goes on behind it");
                Ok(false)
            }
            _ => Err(LogError::kafka(format!(
                "cannot read offset {next} of {place} again"
            ))(error)),
        }
    }
}

/// Returns the configuration of a client that reads a range and is in no group.
fn client_config(kafka: &KafkaSettings) -> ClientConfig {
    let mut client = kafka.client_config();
    client
        // A consumer has to name a group; one that only assigns never joins it, and
        // commits nothing.
        .set("group.id", "ticklake-read-back")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "error")
        .set(
            "queued.max.messages.kbytes",
            (QUEUE_BYTES >> 10).to_string(),
        )
        .set("fetch.message.max.bytes", QUEUE_BYTES.to_string())
        .set("fetch.queue.backoff.ms", "5");
    client
}

/// Reads the records of an offset range from the log once more. Blocks, on a thread of
/// the runtime for that.
///
/// `each` gets every record that the log still has, in order. Returns the log's start as
/// it was before the first record was read.
///
/// # Errors
/// As for [`LogRange::open`] and [`LogRange::read`].
pub(crate) fn read_back(
    kafka: &KafkaSettings,
    partition: i32,
    range: (i64, i64),
    mut each: impl FnMut(&Record<'_>),
) -> Result<i64, LogError> {
    let mut log = LogRange::open(kafka, partition, range, false)?;
    Handle::current().block_on(async {
        while log
            .read(|record| {
                each(record);
                Ok(())
            })
            .await?
        {}
        Ok(log.start())
    })
}

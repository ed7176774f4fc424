use std::time::Duration;

use agent::{Kafka, KafkaContext};
use anyhow::{Context as _, Result, bail, ensure};
use lake::Record;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Headers as _;
use rdkafka::{Message as _, Offset, TopicPartitionList};

/// How long to wait for the brokers before a read is given up, to be tried again.
const PATIENCE: Duration = Duration::from_secs(20);

/// Reads the records of an offset range from the log once more, by a client of its own that is in no group. Blocks.
///
/// `each` gets every record that the log still has, in order. Returns the log's start as it was before the first record was read.
///
/// # Errors
/// The brokers do not answer; the log ends before the range does, or lost a part of it while it was read; or `each` fails.
pub(crate) fn read_back(
    kafka: &Kafka,
    partition: i32,
    (first, last): (i64, i64),
    mut each: impl FnMut(&Record<'_>) -> Result<()>,
) -> Result<i64> {
    let topic = &kafka.topic;
    let mut client = kafka.client_config();
    // A consumer has to name a group; one that only assigns never joins it, and commits nothing.
    client.set("group.id", "ticklake-read-back").set("enable.auto.commit", "false").set("enable.partition.eof", "true");
    client.set("auto.offset.reset", "error").set("queued.max.messages.kbytes", "4096").set("fetch.queue.backoff.ms", "5");
    let client: BaseConsumer<KafkaContext> = client.create_with_context(KafkaContext::default()).context("kafka.options")?;
    kafka.sign_in(&client);
    let (start, end) = client
        .fetch_watermarks(topic, partition, PATIENCE)
        .with_context(|| format!("cannot read the bounds of partition {partition} of topic {topic:?}"))?;
    ensure!(end > last, "partition {partition} of topic {topic:?} ends at {end}, and offset {last} was read before");
    let mut next = first.max(start);
    if next > last {
        return Ok(start);
    }
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, partition, Offset::Offset(next))?;
    client.assign(&assignment)?;
    while next <= last {
        let message = match client.poll(PATIENCE) {
            None => bail!("no record of partition {partition} of topic {topic:?} from offset {next} on within {} s", PATIENCE.as_secs()),
            Some(Err(rdkafka::error::KafkaError::PartitionEOF(_))) => break,
            Some(message) => message.with_context(|| format!("cannot read offset {next} of partition {partition} again"))?,
        };
        if message.offset() > last {
            break;
        }
        let headers: Vec<_> =
            message.headers().map(|headers| headers.iter().map(|header| (header.key, header.value)).collect()).unwrap_or_default();
        each(&Record {
            offset: message.offset(),
            timestamp_ms: message.timestamp().to_millis(),
            key: message.key(),
            value: message.payload(),
            headers: &headers,
        })?;
        next = message.offset() + 1;
    }
    Ok(start)
}

//! The baseline of `cargo xtask bench sink`: librdkafka reads a topic to its end, and the
//! records are thrown away.
//!
//! Usage: `read_loop BROKERS TOPIC PARTITIONS RECORDS`

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [brokers, topic, partitions, records] = arguments.as_slice() else {
        return Err("usage: read_loop BROKERS TOPIC PARTITIONS RECORDS".into());
    };
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "read-loop")
        .set("enable.auto.commit", "false")
        .set("fetch.queue.backoff.ms", "5")
        .create()?;
    let mut assignment = TopicPartitionList::new();
    for partition in 0..partitions.parse()? {
        assignment.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&assignment)?;
    let records: u64 = records.parse()?;
    let mut read = 0_u64;
    let mut bytes = 0_u64;
    while read < records {
        if let Some(message) = consumer.poll(Duration::from_secs(10)) {
            bytes += message?.payload().map_or(0, <[u8]>::len) as u64;
            read += 1;
        }
    }
    println!("{read} records, {bytes} bytes");
    Ok(())
}

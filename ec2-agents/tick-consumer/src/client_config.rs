use rdkafka::ClientConfig;

use crate::config::{Config, GroupProtocol};
use crate::memory::Shares;
use crate::statistics::STATISTICS_INTERVAL;

/// Returns the configuration of the client that is a member of the group.
pub(crate) fn client_config(config: &Config, shares: &Shares) -> ClientConfig {
    let mut client = config.kafka.client_config();
    client.set("group.id", &config.group.id);
    match config.group.protocol {
        // Revokes only the partitions that move; the others go on reading.
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
        // Every partition seeks to the end of the lake. If the log no longer has that
        // offset, librdkafka goes on at its start and the reader sees the hole; at
        // "error" it would stop the partition in a state in which it refuses to seek.
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
            STATISTICS_INTERVAL.as_millis().to_string(),
        );
    client
}

//! librdkafka settings that the consumer makes itself and `kafka.options` must not.

const FROM_THE_LAKE: &str = "the lake's manifests decide where reading goes on (exactly once), \
                             not Kafka's committed offsets";
const FROM_MEMORY: &str = "it follows from memory.limit";

/// Their names, each with the reason or the setting to use instead.
pub(crate) const RESERVED_OPTIONS: [(&str, &str); 23] = [
    (
        "isolation.level",
        "records of aborted transactions must not land: the consumer reads committed records only",
    ),
    ("auto.offset.reset", FROM_THE_LAKE),
    ("enable.auto.commit", FROM_THE_LAKE),
    ("auto.commit.enable", FROM_THE_LAKE),
    ("enable.auto.offset.store", FROM_THE_LAKE),
    (
        "enable.partition.eof",
        "with it librdkafka passes over a record after a rebalance",
    ),
    (
        "allow.auto.create.topics",
        "a topic that is missing is an error, and is never created",
    ),
    ("group.id", "use group.id of the consumer's own settings"),
    ("group.instance.id", "use group.instance_id"),
    (
        "group.protocol",
        "use group.protocol of the consumer's own settings",
    ),
    ("group.remote.assignor", ASSIGNOR),
    ("partition.assignment.strategy", ASSIGNOR),
    ("queued.max.messages.kbytes", FROM_MEMORY),
    ("fetch.message.max.bytes", FROM_MEMORY),
    ("max.partition.fetch.bytes", FROM_MEMORY),
    ("fetch.max.bytes", FROM_MEMORY),
    (
        "fetch.queue.backoff.ms",
        "the consumer's queues are small, and fill again only with a short one",
    ),
    ("enable.idempotence", REPLAY),
    ("message.timeout.ms", REPLAY),
    ("delivery.timeout.ms", REPLAY),
    ("transactional.id", REPLAY),
    (
        "delivery.report.only.error",
        "dead-letters replay waits for Kafka to acknowledge each record",
    ),
    (
        "statistics.interval.ms",
        "the consumer's own metrics come from it",
    ),
];
const ASSIGNOR: &str =
    "the consumer gives partitions back one by one, which takes the cooperative assignor";
const REPLAY: &str = "dead-letters replay produces each record once, which takes its own value";

#[cfg(test)]
mod tests {
    use rdkafka::ClientConfig;

    use super::*;
    use crate::config::Config;
    use crate::memory::Shares;

    fn config(options: &str) -> Config {
        let yaml = format!(
            "{{kafka: {{brokers: b, options: {options}}}, lake: {{bucket: l}}, \
             group: {{instance_id: i}}}}"
        );
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), yaml).expect("written");
        let source = file.path().display().to_string().parse().expect("a source");
        agent::Layers::new(Some(&source), "NONE")
            .and_then(agent::Layers::load)
            .expect("a configuration")
    }

    #[test]
    fn isolation_level_is_refused_with_the_reason() {
        let error = config("{isolation.level: read_uncommitted}")
            .check()
            .expect_err("refused")
            .to_string();
        assert!(
            error.starts_with(
                "kafka.options: isolation.level cannot be set here: records of aborted"
            ),
            "{error}"
        );
        assert!(
            config("{check.crcs: true, session.timeout.ms: 6000}")
                .check()
                .is_ok()
        );
    }

    #[test]
    fn no_setting_of_the_consumer_is_left_to_kafka_options() {
        let config = config("{}");
        let own =
            crate::client_config::client_config(&config, &Shares::of(1 << 30, 1).expect("enough"));
        let base = config.kafka.client_config();
        let keys = |client: &ClientConfig| {
            client
                .config_map()
                .keys()
                .map(|key| (*key).to_owned())
                .collect::<Vec<_>>()
        };
        let base = keys(&base);
        for key in keys(&own).iter().filter(|key| !base.contains(key)) {
            assert!(
                RESERVED_OPTIONS.iter().any(|(reserved, _)| reserved == key),
                "{key}"
            );
        }
    }
}

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaError as ClientError;
use serde::Deserialize;
use tracing::{debug, error, info, warn};

/// How long a start waits for the brokers' metadata.
const METADATA_TIMEOUT: Duration = Duration::from_secs(10);

/// The `kafka` section of an agent's configuration.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kafka {
    /// Bootstrap brokers, `host:port[,host:port…]`.
    pub brokers: String,
    /// The topic of ticks.
    #[serde(default = "default_topic")]
    pub topic: String,
    /// Further librdkafka settings, passed on as they stand (`security.protocol`, `sasl.password`, …). Never logged.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
}

fn default_topic() -> String {
    "ticks".to_owned()
}

/// Why Kafka cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KafkaError {
    /// librdkafka refuses the settings.
    #[error("kafka.options: {0}")]
    Settings(ClientError),
    /// No broker answered.
    #[error(
        "cannot reach Kafka at {brokers}: {source}\n  set kafka.brokers (now {brokers:?}) to brokers that this machine can reach, or start them"
    )]
    Unreachable {
        /// The brokers tried.
        brokers: String,
        /// What librdkafka says.
        source: ClientError,
    },
    /// The topic does not exist.
    #[error(
        "topic {topic:?} does not exist on {brokers}\n  the brokers know: {known}\n  set kafka.topic (now {topic:?}), or create it: kafka-topics.sh --bootstrap-server {brokers} --create --topic {topic} --partitions 4"
    )]
    NoTopic {
        /// The brokers asked.
        brokers: String,
        /// The topic asked for.
        topic: String,
        /// The topics they have.
        known: String,
    },
}

impl Kafka {
    /// Returns a client configuration with brokers and options set.
    pub fn client_config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers).set("client.id", "ticklake").set_log_level(RDKafkaLogLevel::Info);
        for (name, value) in &self.options {
            config.set(name, value);
        }
        config
    }

    /// Asks the brokers for the topic and returns its number of partitions. Never creates it. Blocks for up to 10 s.
    ///
    /// # Errors
    /// The settings are refused, no broker answers, or the topic does not exist.
    pub fn check_topic(&self) -> Result<usize, KafkaError> {
        // A consumer without a group: metadata only.
        let client: BaseConsumer<ClientLogs> = self.client_config().create_with_context(ClientLogs).map_err(KafkaError::Settings)?;
        let unreachable = |source| KafkaError::Unreachable { brokers: self.brokers.clone(), source };
        // All topics: asking for one by name may create it on brokers that do so.
        let metadata = client.fetch_metadata(None, METADATA_TIMEOUT).map_err(unreachable)?;
        match metadata.topics().iter().find(|topic| topic.name() == self.topic) {
            Some(topic) => Ok(topic.partitions().len()),
            None => {
                let mut known: Vec<&str> =
                    metadata.topics().iter().map(|topic| topic.name()).filter(|name| !name.starts_with("__")).collect();
                known.sort_unstable();
                let known = if known.is_empty() { "no topics".to_owned() } else { known.join(", ") };
                Err(KafkaError::NoTopic { brokers: self.brokers.clone(), topic: self.topic.clone(), known })
            }
        }
    }
}

/// Carries librdkafka's logs into ours.
#[derive(Debug, Clone, Copy)]
pub struct ClientLogs;

impl ClientContext for ClientLogs {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
                error!(facility, "{message}")
            }
            RDKafkaLogLevel::Warning => warn!(facility, "{message}"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => info!(facility, "{message}"),
            RDKafkaLogLevel::Debug => debug!(facility, "{message}"),
        }
    }

    fn error(&self, error: ClientError, reason: &str) {
        warn!(%error, reason, "Kafka is in trouble, the client goes on trying");
    }
}

impl ConsumerContext for ClientLogs {}

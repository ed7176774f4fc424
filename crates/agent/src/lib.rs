//! The shared part of `tick-producer` and `tick-consumer`: layered configuration, the
//! Kafka connection, logs, readiness and shutdown.

mod aws;
mod config_error;
mod config_source;
mod dotenv;
mod kafka;
mod kafka_callbacks;
mod kafka_context;
mod layers;
mod logs;
mod msk_iam;
mod shutdown;
mod supervisor;
mod topic_name;
mod units;

pub use config_error::ConfigError;
pub use config_source::ConfigSource;
pub use dotenv::load_dotenv;
pub use kafka::{KafkaError, KafkaSettings, Security};
pub use kafka_context::KafkaContext;
pub use layers::Layers;
pub use logs::start_logs;
pub use shutdown::shutdown_signal;
pub use supervisor::tell_ready;
pub use units::{HumanDuration, HumanSize, optional_word, word};

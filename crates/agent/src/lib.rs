//! What `tick-producer` and `tick-consumer` share: layered configuration, the Kafka connection, logs and shutdown.

mod dotenv;
mod kafka;
mod layers;
mod logs;
mod shutdown;
mod units;

pub use dotenv::load_dotenv;
pub use kafka::{ClientLogs, Kafka, KafkaError};
pub use layers::{ConfigError, Layers};
pub use logs::start_logs;
pub use shutdown::shutdown_signal;
pub use units::{HumanDuration, HumanSize, optional_word, word};

use agent::{ConfigSource, Layers};
use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::Config;
use crate::commands::curate::Curate;
use crate::commands::dead_letters::{Choice, Replay};
use crate::commands::reconcile::Reconcile;
use crate::commands::verify::Verify;

/// Lands ticks from Kafka in the S3 lake.
///
/// Settings come from a YAML file or SSM parameter, are overridden by environment
/// variables (TICK_CONSUMER_KAFKA__BROKERS for kafka.brokers; also from a .env file in
/// the working directory), and those by flags. The AWS SDK's own variables (AWS_REGION,
/// AWS_ENDPOINT_URL, …) apply.
#[derive(Debug, Parser)]
#[command(version, about, long_about)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    settings: Settings,
}

/// The commands.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Land ticks until SIGTERM or SIGINT (the default)
    Run,
    /// Validate the configuration and try the connections to Kafka and S3
    Check,
    /// Prove the lake: every offset accounted for exactly once, every object present and
    /// no other. With --curated, prove the curated hours. Exits 0 only if it is whole
    Verify(Verify),
    /// Give up the records of a partition that have not landed, up to an offset; the gap
    /// is registered. An incomplete batch below the offset is completed with the records
    /// that can be read
    Skip {
        /// The partition
        #[arg(long)]
        partition: i32,
        /// The offset to go on at
        #[arg(long, value_name = "OFFSET")]
        to: i64,
    },
    /// Curate the closed hours of a period in this process: older ones than the function
    /// curate looks at, those of a lake that is older than its curation, or those that
    /// the function cannot hold. Safe beside the function. Exits 0 only if every closed
    /// hour is curated
    Curate(Curate),
    /// Send the events of objects that came into the lake since a time to the functions'
    /// queues again, in case EventBridge missed them. Partitions in the catalog are not
    /// crawled again; mails announce the objects once more
    Reconcile(Reconcile),
    /// Show the records that were no ticks, or produce them again
    #[command(subcommand)]
    DeadLetters(DeadLetters),
}

/// The commands for dead letters.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum DeadLetters {
    /// Print them, one a line: partition:offset, reason, value
    List(Choice),
    /// Produce them to the topic again, each once, with a header ticklake-origin
    Replay(Replay),
}

#[derive(Debug, Args)]
struct Settings {
    /// YAML file with the settings, or ssm:<name> for a parameter in SSM Parameter Store
    #[arg(long, global = true, value_name = "FILE|ssm:NAME")]
    config: Option<ConfigSource>,
    /// kafka.brokers: bootstrap brokers, host:port[,host:port…]
    #[arg(long, global = true)]
    brokers: Option<String>,
    /// kafka.topic: topic of ticks, whose name does not begin with _ or . [default:
    /// ticks]
    #[arg(long, global = true)]
    topic: Option<String>,
    /// group.id: consumer group [default: tick-consumer]
    #[arg(long, global = true)]
    group: Option<String>,
    /// lake.bucket: bucket of the lake
    #[arg(long, global = true)]
    bucket: Option<String>,
    /// lake.database: Glue database of the curated tables, for curate and verify
    /// --curated
    #[arg(long, global = true)]
    database: Option<String>,
    /// lake.path_style: the bucket's name goes into the path of requests, as MinIO and
    /// Ceph behind one host name want it
    #[arg(long, global = true)]
    path_style: bool,
    /// lake.accept_brokers_without_topic_ids: work with brokers before Kafka 2.8; nobody
    /// notices then that the topic was deleted and recreated, and records are lost
    #[arg(long, global = true)]
    accept_brokers_without_topic_ids: bool,
    /// lake.format: parquet, json or csv [default: parquet]
    #[arg(long, global = true)]
    format: Option<String>,
    /// lake.partition_by: kafka-timestamp or event-time [default: kafka-timestamp]
    #[arg(long, global = true)]
    partition_by: Option<String>,
    /// lake.retention_days: days for which the bucket's lifecycle keeps data and dead
    /// letters [default: for ever]
    #[arg(long, global = true)]
    retention_days: Option<u32>,
    /// lake.granularity: hour or day [default: hour]
    #[arg(long, global = true)]
    granularity: Option<String>,
    /// batch.max_age: longest wait of a record before its batch is sealed [default: 60s]
    #[arg(long, global = true)]
    max_age: Option<String>,
    /// batch.max_bytes: most bytes of a batch's objects, by estimate [default: 64MiB]
    #[arg(long, global = true)]
    max_bytes: Option<String>,
    /// batch.max_rows: most rows in a batch [default: 1000000]
    #[arg(long, global = true)]
    max_rows: Option<String>,
    /// group.protocol: classic or consumer (KIP-848) [default: classic]
    #[arg(long, global = true)]
    group_protocol: Option<String>,
    /// group.instance_id: static membership under this name
    #[arg(long, global = true)]
    group_instance_id: Option<String>,
    /// records.tombstones: keep (as dead letters) or skip records without a value
    /// [default: keep]
    #[arg(long, global = true)]
    tombstones: Option<String>,
    /// memory.limit: most resident memory of the process [default: 512MiB]
    #[arg(long, global = true)]
    memory_limit: Option<String>,
    /// http.listen: serve /metrics, /health and /ready at host:port
    #[arg(long, global = true)]
    listen: Option<String>,
}

impl Cli {
    /// Returns the command.
    pub fn command(&self) -> Command {
        self.command.clone().unwrap_or(Command::Run)
    }

    /// Returns the configuration of all layers.
    ///
    /// # Errors
    /// Names the layer and the setting at fault.
    pub fn config(&self) -> Result<Config> {
        let settings = &self.settings;
        let flags = [
            ("kafka.brokers", &settings.brokers),
            ("kafka.topic", &settings.topic),
            ("group.id", &settings.group),
            ("lake.bucket", &settings.bucket),
            ("lake.database", &settings.database),
            ("lake.format", &settings.format),
            ("lake.partition_by", &settings.partition_by),
            ("lake.granularity", &settings.granularity),
            ("batch.max_age", &settings.max_age),
            ("batch.max_bytes", &settings.max_bytes),
            ("batch.max_rows", &settings.max_rows),
            ("group.protocol", &settings.group_protocol),
            ("group.instance_id", &settings.group_instance_id),
            ("records.tombstones", &settings.tombstones),
            ("memory.limit", &settings.memory_limit),
            ("http.listen", &settings.listen),
        ];
        let layers = Layers::new(settings.config.as_ref(), "TICK_CONSUMER")?;
        let layers = layers.flag("lake.retention_days", settings.retention_days)?;
        let layers = layers.flag(
            "lake.accept_brokers_without_topic_ids",
            settings.accept_brokers_without_topic_ids.then_some(true),
        )?;
        let layers = layers.flag("lake.path_style", settings.path_style.then_some(true))?;
        let mut config: Config = flags
            .into_iter()
            .try_fold(layers, |layers, (setting, value)| {
                layers.flag(setting, value.as_ref())
            })?
            .load()?;
        config.kafka.resolve()?;
        config.check()?;
        Ok(config)
    }
}

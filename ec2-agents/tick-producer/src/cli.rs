use std::path::PathBuf;

use agent::{ConfigSource, Layers};
use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::Config;

/// Sends ticks from a CSV file or a synthetic market to Kafka.
///
/// Settings come from a YAML file or SSM parameter. Environment variables override them
/// (TICK_PRODUCER_KAFKA__BROKERS for kafka.brokers; also from a .env file in the working
/// directory). Flags override both.
#[derive(Debug, Parser)]
#[command(version, about, long_about)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// Write the figures of the run to a JSON file
    #[arg(long, global = true, value_name = "FILE")]
    pub summary: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
}

/// The subcommand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Send ticks until the source ends, or SIGTERM or SIGINT (the default)
    Run,
    /// Validate the configuration, open the source and try the connection to Kafka
    Check,
}

#[derive(Debug, Args)]
struct Settings {
    /// YAML file with the settings, or ssm:<name> for a parameter in SSM Parameter Store
    #[arg(long, global = true, value_name = "FILE|ssm:NAME")]
    config: Option<ConfigSource>,
    /// kafka.brokers: bootstrap brokers, host:port[,host:port…]
    #[arg(long, global = true)]
    brokers: Option<String>,
    /// kafka.topic: topic of the ticks, not beginning with _ or . [default: ticks]
    #[arg(long, global = true)]
    topic: Option<String>,
    /// source: csv or synthetic [default: csv]
    #[arg(long, global = true)]
    source: Option<String>,
    /// csv.path: the CSV file
    #[arg(long, global = true, value_name = "FILE")]
    csv: Option<String>,
    /// csv.date_order: dmy or mdy, if the order of dates such as 08/01/2010 is not clear
    #[arg(long, global = true)]
    date_order: Option<String>,
    /// csv.rejects: file for rows that are not valid ticks, or too large for Kafka
    /// [default: data.rejects.csv beside data.csv]
    #[arg(long, global = true, value_name = "FILE")]
    rejects: Option<String>,
    /// csv.strict: stop at the first row that is not a valid tick
    #[arg(long, global = true)]
    strict: bool,
    /// synthetic.rows: number of ticks [default: until SIGTERM]
    #[arg(long, global = true)]
    rows: Option<u64>,
    /// synthetic.symbols: comma-separated symbols
    #[arg(long, global = true)]
    symbols: Option<String>,
    /// synthetic.seed: seed of the random walk [default: 42]
    #[arg(long, global = true)]
    seed: Option<u64>,
    /// send.rate: ticks per second [default: as fast as possible]
    #[arg(long, global = true)]
    rate: Option<f64>,
    /// send.loop: start again at the end of the file
    #[arg(long = "loop", global = true)]
    repeat: bool,
    /// send.event_time: original or now [default: original]
    #[arg(long, global = true)]
    event_time: Option<String>,
    /// send.compression: none, gzip, lz4 or zstd [default: lz4]
    #[arg(long, global = true)]
    compression: Option<String>,
}

impl Cli {
    /// Returns the subcommand.
    pub fn command(&self) -> Command {
        self.command.unwrap_or(Command::Run)
    }

    /// Returns the configuration of all layers.
    ///
    /// # Errors
    /// A setting is wrong; the error names it and its layer.
    pub fn config(&self) -> Result<Config> {
        let flags = &self.settings;
        let mut config: Config = Layers::new(flags.config.as_ref(), "TICK_PRODUCER")?
            .flag("kafka.brokers", flags.brokers.as_ref())?
            .flag("kafka.topic", flags.topic.as_ref())?
            .flag("source", flags.source.as_ref())?
            .flag("csv.path", flags.csv.as_ref())?
            .flag("csv.date_order", flags.date_order.as_ref())?
            .flag("csv.rejects", flags.rejects.as_ref())?
            .flag("csv.strict", flags.strict.then_some(true))?
            .flag("synthetic.rows", flags.rows)?
            .flag("synthetic.symbols", flags.symbols.as_ref())?
            .flag("synthetic.seed", flags.seed)?
            .flag("send.rate", flags.rate)?
            .flag("send.loop", flags.repeat.then_some(true))?
            .flag("send.event_time", flags.event_time.as_ref())?
            .flag("send.compression", flags.compression.as_ref())?
            .load()?;
        config
            .kafka
            .refuse_options(&crate::sender::RESERVED_OPTIONS)?;
        config.kafka.resolve()?;
        config.validated().map_err(anyhow::Error::msg)
    }
}

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use lake::Format;
use local::KafkaKind;

/// Options of `cargo xtask demo`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// CSV file to replay [default: data/indexProcessed-hsi.csv]
    #[arg(long, value_name = "FILE", conflicts_with = "rows")]
    pub(crate) csv: Option<PathBuf>,
    /// Send this many synthetic ticks instead of a CSV file
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rows: Option<u64>,
    /// Format of the lake
    #[arg(long, value_enum, default_value = "parquet")]
    pub(crate) format: FormatName,
    /// Embedded mock cluster, or a real Apache Kafka broker (needs Java 17 and Maven)
    #[arg(long, value_enum, default_value = "mock")]
    pub(crate) kafka: KafkaName,
    /// Order of day and month in dates such as 08/01/2010
    #[arg(long, value_enum)]
    pub(crate) date_order: Option<DateOrderName>,
    /// Event times as in the file, or the time of sending
    #[arg(long, value_enum, default_value = "original")]
    pub(crate) event_time: EventTimeName,
    /// Leave the stack running in the background, until cargo xtask down
    #[arg(long)]
    pub(crate) keep: bool,
    /// Write the figures to a JSON file
    #[arg(long, value_name = "FILE")]
    pub(crate) summary: Option<PathBuf>,
}

/// Lake formats by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormatName {
    Parquet,
    Json,
    Csv,
}

impl From<FormatName> for Format {
    fn from(name: FormatName) -> Self {
        match name {
            FormatName::Parquet => Self::Parquet,
            FormatName::Json => Self::Json,
            FormatName::Csv => Self::Csv,
        }
    }
}

/// Kinds of Kafka by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KafkaName {
    Mock,
    Apache,
}

impl From<KafkaName> for KafkaKind {
    fn from(name: KafkaName) -> Self {
        match name {
            KafkaName::Mock => Self::Mock,
            KafkaName::Apache => Self::Apache,
        }
    }
}

/// Date orders by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DateOrderName {
    Dmy,
    Mdy,
}

/// Event times by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EventTimeName {
    Original,
    Now,
}

/// Returns the text of a value in a flag.
pub(crate) fn flag_value(value: impl ValueEnum) -> String {
    value
        .to_possible_value()
        .map(|value| value.get_name().to_owned())
        .unwrap_or_default()
}

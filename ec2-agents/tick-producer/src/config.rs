use std::path::PathBuf;

use agent::KafkaSettings;
use serde::{Deserialize, Deserializer, de::Error as _};
use tick::Symbol;

/// The producer's configuration from `producer.yaml`, the environment and the flags.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The destination of the ticks.
    pub kafka: KafkaSettings,
    /// The source of the ticks.
    #[serde(default, deserialize_with = "agent::word")]
    pub source: SourceKind,
    /// The CSV source.
    #[serde(default)]
    pub csv: CsvSettings,
    /// The synthetic source.
    #[serde(default)]
    pub synthetic: SyntheticSettings,
    /// The settings for sending.
    #[serde(default)]
    pub send: SendSettings,
}

/// The kind of source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// A CSV file.
    #[default]
    Csv,
    /// A seeded random walk.
    Synthetic,
}

/// The `csv` section.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CsvSettings {
    /// The file.
    pub path: Option<PathBuf>,
    /// Order of day and month in dates such as 08/01/2010. Needed only if the file does
    /// not show it.
    #[serde(deserialize_with = "agent::optional_word")]
    pub date_order: Option<Order>,
    /// The file for rows that are not valid ticks. By default it is beside the CSV file:
    /// `data.rejects.csv` for `data.csv`.
    pub rejects: Option<PathBuf>,
    /// Stop at the first row that is not a valid tick.
    pub strict: bool,
}

/// Order of day and month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Day first.
    Dmy,
    /// Month first.
    Mdy,
}

/// The `synthetic` section.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SyntheticSettings {
    /// Number of ticks; without it, until SIGTERM.
    pub rows: Option<u64>,
    /// Symbols of the ticks, in turn.
    pub symbols: Symbols,
    /// Seed of the random walk. The same seed gives the same prices.
    pub seed: u64,
}

impl Default for SyntheticSettings {
    fn default() -> Self {
        let symbols = [
            "HSI", "NYA", "IXIC", "N225", "GDAXI", "SSMI", "TWII", "J203",
        ]
        .iter()
        .filter_map(|text| Symbol::parse(text));
        Self {
            rows: None,
            symbols: Symbols(symbols.collect()),
            seed: 42,
        }
    }
}

/// At least one symbol: a YAML list, or `A,B,C`.
#[derive(Debug, Clone)]
pub struct Symbols(pub Vec<Symbol>);

impl<'de> Deserialize<'de> for Symbols {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Line(String),
            List(Vec<String>),
        }
        let names = match Form::deserialize(deserializer)? {
            Form::Line(line) => line.split(',').map(str::to_owned).collect(),
            Form::List(list) => list,
        };
        let parse = |name: &String| {
            Symbol::parse(name).ok_or_else(|| {
                D::Error::custom(format_args!("got {name:?}, wanted {}", Symbol::WANTED))
            })
        };
        let symbols = names.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        if symbols.is_empty() {
            Err(D::Error::custom("wanted at least one symbol"))
        } else {
            Ok(Self(symbols))
        }
    }
}

/// The `send` section.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SendSettings {
    /// Ticks per second; without it, as fast as possible.
    pub rate: Option<f64>,
    /// Start again at the end of the file, until SIGTERM.
    #[serde(rename = "loop")]
    pub repeat: bool,
    /// The event time of the ticks.
    #[serde(deserialize_with = "agent::word")]
    pub event_time: EventTimes,
    /// Compression of the record batches.
    #[serde(deserialize_with = "agent::word")]
    pub compression: Compression,
}

impl Default for SendSettings {
    fn default() -> Self {
        Self {
            rate: None,
            repeat: false,
            event_time: EventTimes::Original,
            compression: Compression::Lz4,
        }
    }
}

/// The event time of the ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventTimes {
    /// The source's event time.
    Original,
    /// The time of sending.
    Now,
}

/// Compression codecs that librdkafka writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// No compression.
    None,
    /// gzip.
    Gzip,
    /// LZ4: the least CPU for its size.
    Lz4,
    /// Zstandard.
    Zstd,
}

impl Compression {
    /// Returns librdkafka's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

impl Config {
    /// Returns the configuration if its settings agree with each other.
    ///
    /// # Errors
    /// Settings contradict each other; the error names them.
    pub fn validated(self) -> Result<Self, String> {
        match (self.source, &self.csv.path, self.synthetic.rows) {
            (SourceKind::Csv, None, _) => {
                return Err("csv.path: missing, wanted the CSV file to send; \
                     write --csv FILE, or --source synthetic"
                    .to_owned());
            }
            (SourceKind::Csv, Some(_), Some(_)) => {
                return Err("synthetic.rows and csv.path exclude each other; \
                     write --source synthetic for synthetic ticks"
                    .to_owned());
            }
            (SourceKind::Synthetic, Some(_), _) => {
                return Err(
                    "csv.path and source: synthetic exclude each other; leave one out".to_owned(),
                );
            }
            _ => {}
        }
        if let Some(rate) = self
            .send
            .rate
            .filter(|rate| !(rate.is_finite() && *rate > 0.0))
        {
            return Err(format!(
                "send.rate: got {rate}, wanted ticks per second above zero"
            ));
        }
        Ok(self)
    }
}

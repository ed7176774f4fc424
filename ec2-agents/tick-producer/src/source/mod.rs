mod csv_file;
mod random_walk;

use std::fmt;

use anyhow::Result;
use tick::{RowError, Tick};

use crate::config::{Config, SourceKind};
use csv_file::CsvFile;
use random_walk::RandomWalk;

/// A source of ticks.
pub(crate) enum Source {
    Csv(Box<CsvFile>),
    Synthetic(RandomWalk),
}

/// The next item of a source.
pub(crate) enum Item {
    /// A tick.
    Tick(Tick),
    /// A row without a value.
    Blank,
    /// A row that is not a valid tick.
    Rejected(RejectedRow),
}

/// A row that cannot be sent.
pub(crate) struct RejectedRow {
    /// Its line in the file, from 1 on.
    pub(crate) line: u64,
    /// The reason why it cannot be sent.
    pub(crate) reason: Reason,
    /// The line in the file, line end included.
    pub(crate) raw: Vec<u8>,
}

/// The reason why a row cannot be sent.
pub(crate) enum Reason {
    /// It is not a valid tick.
    Invalid(RowError),
    /// Its tick is larger than a Kafka message may be.
    TooLarge {
        /// Bytes of the message.
        bytes: usize,
        /// Maximum bytes of a message.
        limit: usize,
    },
}

impl RejectedRow {
    /// Returns the line and the reason in words.
    pub(crate) fn message(&self, file: &str) -> String {
        let separator = if matches!(self.reason, Reason::Invalid(RowError::Field(_))) {
            ", "
        } else {
            ": "
        };
        format!(
            "line {} of {file}{separator}{}",
            wording::grouped(self.line),
            self.reason
        )
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(error) => error.fmt(f),
            Self::TooLarge { bytes, limit } => write!(
                f,
                "got a message of {} bytes, wanted at most {} (message.max.bytes in kafka.options)",
                wording::grouped(*bytes as u64),
                wording::grouped(*limit as u64)
            ),
        }
    }
}

impl Source {
    pub(crate) fn open(config: &Config) -> Result<Self> {
        match (config.source, &config.csv.path) {
            (SourceKind::Csv, Some(path)) => Ok(Self::Csv(Box::new(CsvFile::open(
                path,
                config.csv.date_order,
            )?))),
            _ => Ok(Self::Synthetic(RandomWalk::new(&config.synthetic))),
        }
    }

    /// Returns the next item, or `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Item>> {
        match self {
            Self::Csv(file) => file.next(),
            Self::Synthetic(walk) => Ok(walk.next().map(Item::Tick)),
        }
    }

    /// Returns the last row as one that cannot be sent, or `None` if the source has no
    /// rows.
    pub(crate) fn reject(&self, reason: Reason) -> Option<RejectedRow> {
        match self {
            Self::Csv(file) => Some(file.reject(reason)),
            Self::Synthetic(_) => None,
        }
    }

    /// Returns the file's path, or a name for the synthetic source.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Csv(file) => file.name(),
            Self::Synthetic(_) => "synthetic ticks",
        }
    }

    /// Returns the first line of a rejects file.
    pub(crate) fn header(&self) -> &[u8] {
        match self {
            Self::Csv(file) => file.header(),
            Self::Synthetic(_) => &[],
        }
    }

    /// Returns how far the source has been read, in the unit of [`Source::length`].
    pub(crate) fn position(&self) -> u64 {
        match self {
            Self::Csv(file) => file.position(),
            Self::Synthetic(walk) => walk.made(),
        }
    }

    /// Returns the file's bytes, or the number of ticks; `None` if there is no end.
    pub(crate) fn length(&self) -> Option<u64> {
        match self {
            Self::Csv(file) => Some(file.length()),
            Self::Synthetic(walk) => walk.total(),
        }
    }
}

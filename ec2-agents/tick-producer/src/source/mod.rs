mod csv_file;
mod item;
mod random_walk;

use anyhow::Result;

use crate::config::{Config, SourceKind};
use csv_file::CsvFile;
pub(crate) use item::{Item, Reason, RejectedRow};
use random_walk::RandomWalk;

/// A source of ticks.
pub(crate) enum Source {
    Csv(Box<CsvFile>),
    Synthetic(RandomWalk),
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

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use local::{MOCK_ROWS, Repository};

use super::Options;
use super::options::KafkaName;
use wording::grouped;

/// Approximate number of objects, so that a mail lists several.
const WANTED_OBJECTS: u64 = 4;

/// The input of the demo.
#[derive(Debug, Clone)]
pub(crate) enum Input {
    /// The rows of a CSV file.
    Csv { path: PathBuf, rows: u64 },
    /// Synthetic ticks.
    Synthetic { rows: u64 },
}

impl Input {
    /// Returns the input of these options.
    ///
    /// # Errors
    /// The file cannot be read, or has more rows than the mock cluster can hold.
    pub(crate) fn of(options: &Options) -> Result<Self> {
        let input = match options.rows {
            Some(rows) => Self::Synthetic { rows },
            None => {
                let repository = Repository::here();
                let path = options.csv.clone();
                let path = path.unwrap_or_else(|| repository.path("data/indexProcessed-hsi.csv"));
                let name = path.display();
                let file = std::fs::File::open(&path)
                    .with_context(|| format!("{name}: cannot open the CSV file"))?;
                let mut lines: u64 = 0;
                for line in BufReader::new(file).split(b'\n') {
                    line.with_context(|| format!("{name}: cannot read the CSV file"))?;
                    lines += 1;
                }
                Self::Csv {
                    rows: lines.saturating_sub(1),
                    path,
                }
            }
        };
        if options.kafka == KafkaName::Mock && input.rows() > MOCK_ROWS {
            bail!(
                "{} rows are more than the embedded mock cluster can hold ({})\n  \
                 run with --kafka apache (needs Java 17 and Maven)",
                grouped(input.rows()),
                grouped(MOCK_ROWS)
            );
        }
        Ok(input)
    }

    /// Returns the number of rows, blank ones included.
    pub(crate) fn rows(&self) -> u64 {
        match self {
            Self::Csv { rows, .. } | Self::Synthetic { rows } => *rows,
        }
    }

    /// Returns a name for people.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Csv { path, .. } => path
                .strip_prefix(Repository::here().root())
                .unwrap_or(path)
                .display()
                .to_string(),
            Self::Synthetic { .. } => "synthetic ticks".to_owned(),
        }
    }

    /// Returns the consumer's `batch.max_rows` that gives a handful of objects.
    pub(crate) fn rows_per_batch(&self) -> u64 {
        self.rows().div_ceil(WANTED_OBJECTS).clamp(100, 250_000)
    }
}

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use serde::Serialize;
use wording::grouped;

use crate::sender::Sender;

/// The result of a run. Every row read is sent, rejected, skipped, failed or
/// unacknowledged.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The source's name.
    pub source: String,
    /// Rows read, without the header.
    pub rows_read: u64,
    /// Blank rows.
    pub rows_skipped: u64,
    /// Rows that are not valid ticks, or too large for Kafka.
    pub rows_rejected: u64,
    /// Ticks that Kafka acknowledged.
    pub rows_sent: u64,
    /// Ticks that Kafka refused, or did not acknowledge within the delivery timeout.
    pub delivery_failures: u64,
    /// Ticks without an answer from Kafka when the producer stopped.
    pub unacknowledged: u64,
    /// The reasons of the first failures.
    pub failures: Vec<String>,
    /// The file with the rejected rows.
    pub rejects_file: Option<PathBuf>,
    /// Time from the first row to the last acknowledgement.
    pub seconds: f64,
}

impl Report {
    pub(crate) fn new(source: &str) -> Self {
        Self {
            source: source.to_owned(),
            rows_read: 0,
            rows_skipped: 0,
            rows_rejected: 0,
            rows_sent: 0,
            delivery_failures: 0,
            unacknowledged: 0,
            failures: Vec::new(),
            rejects_file: None,
            seconds: 0.0,
        }
    }

    pub(crate) fn delivered(&mut self, sender: &Sender, elapsed: Duration) {
        (self.rows_sent, self.delivery_failures, self.failures) = sender.outcome();
        self.unacknowledged = sender.outstanding();
        self.seconds = elapsed.as_secs_f64();
    }

    /// Returns an error if the exit code has to report a failure.
    ///
    /// # Errors
    /// Ticks were not delivered, or no row could be used.
    pub fn verdict(&self) -> Result<()> {
        if self.delivery_failures + self.unacknowledged > 0 {
            bail!(
                "{} ticks were not delivered, {} not acknowledged before the end\n  {}",
                grouped(self.delivery_failures),
                grouped(self.unacknowledged),
                self.failures.join("\n  ")
            );
        }
        if self.rows_rejected > 0 && self.rows_sent == 0 {
            bail!(
                "none of the {} rows is a valid tick",
                grouped(self.rows_rejected)
            );
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            source,
            rows_read,
            rows_skipped,
            rows_rejected,
            rows_sent,
            ..
        } = self;
        write!(
            f,
            "{} rows of {source} → {} ticks sent, {} rejected",
            grouped(*rows_read),
            grouped(*rows_sent),
            grouped(*rows_rejected)
        )?;
        if let Some(path) = &self.rejects_file {
            write!(f, " (kept in {})", path.display())?;
        }
        if *rows_skipped > 0 {
            write!(f, ", {} blank rows skipped", grouped(*rows_skipped))?;
        }
        if self.delivery_failures > 0 {
            write!(f, ", {} failed", grouped(self.delivery_failures))?;
        }
        write!(f, ", {:.1} s", self.seconds)
    }
}

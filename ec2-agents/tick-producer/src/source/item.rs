use std::fmt;

use tick::{RowError, Tick};

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

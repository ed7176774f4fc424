use std::fmt::Display;

use lake::RepairError;

use crate::retry::Retryable;

/// Why the topic or its log could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    /// Kafka does not answer, or refuses.
    #[error("{doing}: {problem}")]
    Kafka {
        /// The failed action, "cannot …".
        doing: String,
        problem: String,
    },
    /// The log ends before records that were read earlier. A new leader may know of a
    /// lower end for a while.
    #[error("{place} ends at {end}, and offset {last} was read before")]
    Short { place: String, end: i64, last: i64 },
    /// No record came in time.
    #[error("no record of {place} from offset {next} on within {seconds} s")]
    Silent {
        place: String,
        next: i64,
        seconds: u64,
    },
    /// The records do not make the objects of a manifest.
    #[error(transparent)]
    Repair(#[from] RepairError),
    /// The thread panicked that did the work.
    #[error("the {0} panicked; this is a fault in tick-consumer")]
    Panicked(&'static str),
}

impl LogError {
    /// Returns a function that makes an error of a problem with Kafka.
    pub(crate) fn kafka<P: Display>(doing: impl Into<String>) -> impl FnOnce(P) -> Self {
        let doing = doing.into();
        move |problem| Self::Kafka {
            doing,
            problem: problem.to_string(),
        }
    }
}

impl Retryable for LogError {
    fn is_retryable(&self) -> bool {
        match self {
            Self::Kafka { .. } | Self::Short { .. } | Self::Silent { .. } => true,
            Self::Repair(error) => error.is_retryable(),
            Self::Panicked(_) => false,
        }
    }
}

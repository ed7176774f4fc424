use serde::{Deserialize, Serialize};

use crate::form::{self, RegisterError};
use crate::{Register, RegisterKey, Summary};

/// How a version ended. One register holds it, so a version that one worker gives up is
/// never committed by another.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Outcome {
    /// Every output of both tables exists.
    Committed {
        /// The version that it builds on, and replaces.
        base: Option<u32>,
        /// The contents of all its units.
        summary: Summary,
    },
    /// A unit could not be done. No reader sees the version.
    Abandoned {
        /// The unit.
        unit: u32,
        /// Why.
        reason: Reason,
    },
}

/// Why a unit could not be done.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Reason {
    /// An object that it reads is not one of ticklake's.
    Unreadable {
        /// The object's key.
        key: String,
        /// The fault.
        problem: String,
    },
    /// An object that it reads does not exist any more: it expired or was deleted.
    Missing {
        /// The object's key.
        key: String,
    },
    /// It has more rows than a worker can hold.
    TooLarge {
        /// The rows that were counted; there may be more.
        rows: u64,
    },
    /// It was received [`crate::worker::MAX_RECEIVES`] times: workers run out of time or
    /// memory.
    Unfinished,
}

impl Reason {
    /// Returns the name used in registers, metrics and logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "unreadable",
            Self::Missing { .. } => "missing",
            Self::TooLarge { .. } => "too-large",
            Self::Unfinished => "unfinished",
        }
    }
}

impl Outcome {
    /// Returns whether the version is committed.
    pub fn is_committed(&self) -> bool {
        matches!(self, Self::Committed { .. })
    }

    /// Returns why the version was abandoned, if it was.
    pub fn reason(&self) -> Option<&Reason> {
        match self {
            Self::Committed { .. } => None,
            Self::Abandoned { reason, .. } => Some(reason),
        }
    }

    /// Returns the body of the register.
    ///
    /// # Errors
    /// None that an outcome can cause; serde's signature has one.
    pub fn to_json(&self, key: &RegisterKey) -> Result<Vec<u8>, serde_json::Error> {
        debug_assert_eq!(key.register, Register::Outcome);
        form::to_json(key, self)
    }

    /// Returns the outcome that a body holds.
    ///
    /// # Errors
    /// It is of a later version, or not an outcome of this key.
    pub fn from_json(key: &RegisterKey, body: &[u8]) -> Result<Self, RegisterError> {
        form::from_json(key, body)
    }
}

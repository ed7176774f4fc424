use local::CallError;

use super::refusal::explain;

/// The outcome of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The stack is as it should be; the value that was seen.
    Ok(String),
    /// It is not, or AWS did not answer; the value that was seen, and the one that was
    /// wanted.
    Failed(String),
    /// Only a person can do it; the instruction.
    ByHand(String),
    /// Not asked; the reason.
    LeftOut(String),
}

impl Outcome {
    /// Returns the outcome of a judgement.
    pub(super) fn of(is_right: bool, seen: impl Into<String>, wanted: &str) -> Self {
        let seen = seen.into();
        if is_right {
            Self::Ok(seen)
        } else {
            Self::Failed(format!("{seen}; wanted {wanted}"))
        }
    }

    /// Returns the outcome of a judgement that looks for faults.
    pub(super) fn of_faults(faults: &[String], seen: impl Into<String>, wanted: &str) -> Self {
        if faults.is_empty() {
            Self::Ok(seen.into())
        } else {
            Self::of(false, faults.join(", "), wanted)
        }
    }

    /// Returns the outcome of a step that AWS did not answer.
    pub(super) fn of_error(error: &anyhow::Error) -> Self {
        match error.downcast_ref::<CallError>() {
            Some(error) => Self::Failed(explain(error)),
            None => Self::Failed(format!("{error:#}")),
        }
    }

    /// Returns the word that begins the step's line, and the rest of it.
    pub(super) fn words(&self) -> (&'static str, &str) {
        match self {
            Self::Ok(seen) => ("ok", seen),
            Self::Failed(fault) => ("failed", fault),
            Self::ByHand(instruction) => ("to do by hand", instruction),
            Self::LeftOut(reason) => ("left out", reason),
        }
    }
}

use lake::ManifestError;

use crate::retry::Retryable;

/// Why the lake's bucket did not do something.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LakeError {
    /// S3 does not answer, or refuses.
    #[error("{call} {place}: {problem}")]
    Call {
        /// The kind of request.
        call: &'static str,
        /// The object or prefix, `s3://bucket/…`.
        place: String,
        problem: String,
    },
    /// An object vanished between its listing and its request.
    #[error("{place} is gone")]
    Gone { place: String },
    /// Another program's object has a name of the lake's.
    #[error("{place} is not {wanted}, and another program wrote it: move it away")]
    Foreign { place: String, wanted: &'static str },
    /// This version cannot read a manifest.
    #[error("{place}: {problem}")]
    Manifest {
        place: String,
        problem: ManifestError,
    },
    /// A manifest names another place than its own.
    #[error("{place} says that it is {named}; restore what it held, or move it away")]
    Misplaced { place: String, named: String },
}

impl Retryable for LakeError {
    fn is_retryable(&self) -> bool {
        match self {
            Self::Call { .. } | Self::Gone { .. } => true,
            Self::Foreign { .. } | Self::Manifest { .. } | Self::Misplaced { .. } => false,
        }
    }
}

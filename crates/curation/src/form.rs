//! The JSON form that plan, summary and outcome share.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::RegisterKey;

/// The form of registers that this version writes, and the newest that it reads.
const FORM: u32 = 1;
const WRITER: &str = concat!("ticklake/", env!("CARGO_PKG_VERSION"));

/// The reason why a register cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// A later version wrote it.
    #[error(
        "register {key}: it has form {form} and was written by {writer}; this version reads \
         forms up to {FORM}: run {writer} or later"
    )]
    Newer {
        /// Its key.
        key: RegisterKey,
        /// Its form.
        form: u32,
        /// Who wrote it.
        writer: String,
    },
    /// It is not JSON of the right form.
    #[error("register {key}: not as ticklake writes it: {source}")]
    Form {
        /// Its key.
        key: RegisterKey,
        /// The fault that serde found.
        source: serde_json::Error,
    },
    /// Its parts contradict each other or its key.
    #[error("register {key}: not as ticklake writes it: {problem}")]
    Content {
        /// Its key.
        key: RegisterKey,
        /// The contradiction.
        problem: &'static str,
    },
    /// The look saw a register, but not one that was created before it. The listing was
    /// taken while both were created: look again.
    #[error(
        "register {key}: not seen, but a later one was: look again; if this does not help, \
         somebody has deleted it: restore it"
    )]
    Torn {
        /// The key of the register that was not seen.
        key: RegisterKey,
    },
}

/// A register's body.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body<T> {
    form: u32,
    writer: String,
    hour: String,
    version: u32,
    content: T,
}

/// The fields that every form of a body has.
#[derive(Deserialize)]
struct Head {
    form: u32,
    writer: String,
}

/// Returns the body of a register. The same content gives the same bytes.
pub(crate) fn to_json(
    key: &RegisterKey,
    content: impl Serialize,
) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&Body {
        form: FORM,
        writer: WRITER.to_owned(),
        hour: key.hour.to_string(),
        version: key.version,
        content,
    })
}

/// Returns the body of a register whose presence is all that counts.
///
/// # Errors
/// None that a key can cause; serde's signature has one.
pub fn mark_json(key: &RegisterKey) -> Result<Vec<u8>, serde_json::Error> {
    to_json(key, ())
}

/// Returns the content of a register's body.
pub(crate) fn from_json<T: DeserializeOwned>(
    key: &RegisterKey,
    body: &[u8],
) -> Result<T, RegisterError> {
    let form = |source| RegisterError::Form { key: *key, source };
    let head: Head = serde_json::from_slice(body).map_err(form)?;
    if head.form > FORM {
        return Err(RegisterError::Newer {
            key: *key,
            form: head.form,
            writer: head.writer,
        });
    }
    let body: Body<T> = serde_json::from_slice(body).map_err(form)?;
    if body.hour != key.hour.to_string() || body.version != key.version {
        return Err(RegisterError::Content {
            key: *key,
            problem: "its hour or version is not that of its key",
        });
    }
    Ok(body.content)
}

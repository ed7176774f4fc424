use anyhow::{Context as _, Result};

/// Adds the variables of `.env` in the working directory, if there is one, to the
/// environment; variables that are set already stay.
///
/// # Errors
/// The file is not lines of `NAME=value`.
pub fn load_dotenv() -> Result<()> {
    match dotenvy::from_path(".env") {
        Err(dotenvy::Error::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        loaded => loaded.context(".env: wanted lines of NAME=value"),
    }
}

use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use local::{Processes, Repository};
use tokio::process::Command;

use crate::up::State;

/// Set in the environment of the background process that runs a stack.
const BACKGROUND_VARIABLE: &str = "TICKLAKE_BACKGROUND";

/// This command in the background: the same program with the same arguments, in its own
/// process group.
pub(crate) struct Background;

impl Background {
    /// Returns true in the background process itself.
    pub(crate) fn is_here() -> bool {
        std::env::var_os(BACKGROUND_VARIABLE).is_some()
    }

    /// Starts this command again in the background and prints its output until its stack
    /// is running. Leaves nothing behind if it fails or this process is interrupted
    /// before that.
    pub(crate) async fn start(processes: &Processes) -> Result<()> {
        if let Some(state) = State::running()? {
            bail!(
                "a local stack is up already: {}\n  cargo xtask down ends it",
                state.endpoint()
            );
        }
        let repository = Repository::here();
        let folder = repository.path(".local");
        std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let log = folder.join("stack.log");
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(std::env::args_os().skip(1))
            .env(BACKGROUND_VARIABLE, "1");
        let process = processes
            .start("the stack's process", &mut command, &log)
            .await?;
        let mut shown = 0;
        loop {
            let is_up = State::running()?.is_some();
            shown = show_from(&log, shown)?;
            if is_up {
                processes.release(process).await;
                return Ok(());
            }
            if processes.expect_running(process).await.is_err() {
                let status = processes.wait(process).await?;
                show_from(&log, shown)?;
                bail!("the stack did not start ({status})");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Prints the text of a file from a place on. Returns the next place.
fn show_from(log: &PathBuf, place: u64) -> Result<u64> {
    let mut file = std::fs::File::open(log).with_context(|| log.display().to_string())?;
    file.seek(SeekFrom::Start(place))?;
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    std::io::stdout().write_all(&text)?;
    std::io::stdout().flush()?;
    Ok(place + text.len() as u64)
}

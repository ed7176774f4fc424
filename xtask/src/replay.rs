use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use local::Processes;

/// Options of `cargo xtask replay`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// Events to replay [default: all of events/]
    files: Vec<PathBuf>,
}

pub(crate) async fn run(_options: Options, _processes: &Processes) -> Result<()> {
    Ok(())
}

use anyhow::Result;
use clap::Args;
use local::Processes;

/// Options of `cargo xtask test`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {}

pub(crate) async fn run(_options: Options, _processes: &Processes) -> Result<()> {
    Ok(())
}

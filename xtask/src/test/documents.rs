//! Markdown pages, spelling and dependencies.

use std::path::Path;

use anyhow::Result;
use local::{Processes, Repository, Tools};
use tokio::process::Command;

use crate::prepare;

/// Checks the links and the commands of the pages.
pub(crate) async fn pages(
    repository: &Repository,
    tools: &Tools,
    processes: &Processes,
    folder: &Path,
) -> Result<()> {
    prepare::agents(repository, processes, folder).await?;
    script("check_docs", repository, tools, processes, folder).await
}

/// Checks licences, bans and sources of the dependencies.
pub(crate) async fn dependencies(
    repository: &Repository,
    tools: &Tools,
    processes: &Processes,
    folder: &Path,
) -> Result<()> {
    script("check_dependencies", repository, tools, processes, folder).await
}

/// Checks the spelling of everything that git knows.
pub(crate) async fn spelling(
    repository: &Repository,
    tools: &Tools,
    processes: &Processes,
    folder: &Path,
) -> Result<()> {
    let mut typos = Command::new(tools.path("typos"));
    typos
        .args(["--format", "brief"])
        .current_dir(repository.root());
    let log = folder.join("typos.log");
    processes.run("typos", &mut typos, &log).await
}

async fn script(
    name: &str,
    repository: &Repository,
    tools: &Tools,
    processes: &Processes,
    folder: &Path,
) -> Result<()> {
    let mut tests = Command::new(tools.path("python"));
    tests.arg(repository.path(format!("local/{name}.py")));
    let log = folder.join(format!("{name}.log"));
    processes.run(name, &mut tests, &log).await
}

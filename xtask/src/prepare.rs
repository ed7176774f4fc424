use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use local::{Build, Deployment, Processes, Repository, Tools, without_cargo_variables};
use tokio::process::Command;

use crate::steps::Steps;

/// Returns an empty folder below `.local/` for the logs, mails and state of a run.
/// Deletes an older folder of the same name.
pub(crate) fn run_folder(repository: &Repository, name: &str) -> Result<PathBuf> {
    let folder = repository.path(".local").join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    }
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    Ok(folder)
}

/// Installs the tools and builds agents and functions. Does nothing if nothing has
/// changed.
pub(crate) async fn tools_and_build(
    steps: &mut Steps,
    repository: &Repository,
    processes: &Processes,
    folder: &Path,
) -> Result<Tools> {
    let tools = steps
        .step(
            "tools",
            "installing the pinned tools into .tools/, a minute or two the first time",
            async {
                let tools = Tools::install(repository, processes).await?;
                Ok((format!("{} in .tools/", Tools::versions(repository)), tools))
            },
        )
        .await?;
    steps
        .step(
            "build",
            "cargo build and sam build, some minutes the first time",
            async {
                agents(repository, processes, folder).await?;
                Deployment::build(Build::Functions, repository, &tools, processes, folder).await?;
                Ok(("2 agents, 2 functions".to_owned(), ()))
            },
        )
        .await?;
    Ok(tools)
}

/// Builds the agents.
pub(crate) async fn agents(
    repository: &Repository,
    processes: &Processes,
    folder: &Path,
) -> Result<()> {
    let mut cargo = Command::new("cargo");
    without_cargo_variables(&mut cargo)
        .current_dir(repository.root())
        .args(["build", "--bin", "tick-producer", "--bin", "tick-consumer"]);
    processes
        .run("cargo build", &mut cargo, &folder.join("cargo-build.log"))
        .await
}

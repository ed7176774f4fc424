use std::path::PathBuf;

use anyhow::{Context as _, Result};
use local::{Build, Deployment, Processes, Repository, Tools, Workspace, without_cargo_variables};
use tokio::process::Command;

use crate::steps::Steps;

/// Returns the workspace of a run, with its tools and an empty folder below `.local/`.
/// Deletes an older folder of the same name.
pub(crate) async fn workspace(name: &str, processes: &Processes) -> Result<Workspace> {
    Workspace::open(processes, &run_folder(name)?).await
}

fn run_folder(name: &str) -> Result<PathBuf> {
    let folder = Repository::here().path(".local").join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    }
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    Ok(folder)
}

/// Installs the tools and builds agents and functions, which does nothing if nothing has
/// changed. Returns the workspace of the run.
pub(crate) async fn tools_and_build(
    steps: &mut Steps,
    name: &str,
    processes: &Processes,
) -> Result<Workspace> {
    let workspace = steps
        .step(
            "tools",
            "installing the pinned tools into .tools/, a minute or two the first time",
            async {
                let opened = workspace(name, processes).await?;
                let versions = Tools::versions(&opened.repository);
                Ok((format!("{versions} in .tools/"), opened))
            },
        )
        .await?;
    steps
        .step(
            "build",
            "cargo build and sam build, some minutes the first time",
            async {
                agents(&workspace).await?;
                Deployment::build(Build::Functions, &workspace).await?;
                Ok(("2 agents, 3 functions".to_owned(), ()))
            },
        )
        .await?;
    Ok(workspace)
}

/// Builds the agents.
pub(crate) async fn agents(workspace: &Workspace) -> Result<()> {
    binaries(workspace, &["tick-producer", "tick-consumer"]).await
}

/// Builds agents or functions, by the names of their binaries.
pub(crate) async fn binaries(workspace: &Workspace, names: &[&str]) -> Result<()> {
    let mut cargo = Command::new("cargo");
    without_cargo_variables(&mut cargo)
        .current_dir(workspace.repository.root())
        .arg("build")
        .args(names.iter().flat_map(|name| ["--bin", name]));
    workspace.run("cargo build", &mut cargo).await
}

//! Markdown pages, spelling and dependencies.

use anyhow::Result;
use local::Workspace;
use tokio::process::Command;

use crate::prepare;

/// Checks the links and the commands of the pages.
pub(crate) async fn pages(workspace: &Workspace) -> Result<()> {
    prepare::agents(workspace).await?;
    script("check_docs", workspace).await
}

/// Checks licences, bans and sources of the dependencies.
pub(crate) async fn dependencies(workspace: &Workspace) -> Result<()> {
    script("check_dependencies", workspace).await
}

/// Checks the spelling of everything that git knows.
pub(crate) async fn spelling(workspace: &Workspace) -> Result<()> {
    let mut typos = Command::new(workspace.tools.path("typos"));
    typos
        .args(["--format", "brief"])
        .current_dir(workspace.repository.root());
    workspace.run("typos", &mut typos).await
}

async fn script(name: &str, workspace: &Workspace) -> Result<()> {
    let mut tests = Command::new(workspace.tools.path("python"));
    tests.arg(workspace.repository.path(format!("local/{name}.py")));
    workspace.run(name, &mut tests).await
}

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use local::sample;
use local::{REGION, Repository, Workspace, sam_command};
use tokio::process::Command;

use crate::replay::FUNCTIONS;

/// Largest zip of a function, in bytes.
fn max_zip_bytes(function: &str) -> u64 {
    match function {
        // It reads and writes Parquet, and its codecs are compiled for speed.
        "curate" => 8_000_000,
        _ => 6_000_000,
    }
}

pub(crate) async fn validate(workspace: &Workspace) -> Result<()> {
    let mut sam = sam_command(workspace);
    sam.args(["validate", "--lint", "--region", REGION]);
    sam.env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_EC2_METADATA_DISABLED", "true");
    workspace.run("sam validate", &mut sam).await
}

/// Lints the translated template: in SAM's own source cfn-lint misses most mistakes.
pub(crate) async fn lint_translated(workspace: &Workspace) -> Result<()> {
    let translated = translate(workspace).await?;
    let mut lint = Command::new(workspace.tools.path("cfn-lint"));
    lint.args(["--regions", REGION, "--template"])
        .arg(&translated);
    workspace.run("cfn-lint", &mut lint).await
}

/// Translates the template as CloudFormation does; returns the file.
pub(crate) async fn translate(workspace: &Workspace) -> Result<PathBuf> {
    let translated = workspace.folder.join("translated.json");
    let mut translate = Command::new(workspace.tools.path("python"));
    translate
        .arg(workspace.repository.path("local/translate_template.py"))
        .arg(workspace.repository.path("template.yaml"))
        .arg(&translated);
    workspace.run("translate", &mut translate).await?;
    Ok(translated)
}

/// Deployments with various parameters, and the deployer's permissions for them, without
/// deploying.
pub(crate) async fn deployments(workspace: &Workspace) -> Result<()> {
    let mut tests = Command::new(workspace.tools.path("python"));
    tests
        .args(["-m", "unittest", "discover", "--start-directory"])
        .arg(workspace.repository.path("local"));
    workspace.run("tests of the template", &mut tests).await
}

/// Measures the functions as they are uploaded.
pub(crate) async fn zip_sizes(repository: &Repository) -> Result<()> {
    for function in FUNCTIONS {
        let size = zipped(repository, function)?;
        println!("     {function}: {:.2} MB zipped", size as f64 / 1e6);
        let max = max_zip_bytes(function);
        ensure!(
            size <= max,
            "{function}: {size} bytes zipped, at most {max} are wanted"
        );
    }
    Ok(())
}

/// Returns the size of a function as it is uploaded, in bytes.
pub(crate) fn zipped(repository: &Repository, function: &str) -> Result<u64> {
    let bootstrap = sample::bootstrap(repository, function);
    // Deflate, as `sam deploy` packs it.
    let packed = std::process::Command::new("gzip")
        .arg("-c")
        .arg(&bootstrap)
        .output()
        .context("gzip")?;
    ensure!(
        packed.status.success() && !packed.stdout.is_empty(),
        "{}: not there",
        bootstrap.display()
    );
    Ok(packed.stdout.len() as u64)
}

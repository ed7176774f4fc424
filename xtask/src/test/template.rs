use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use local::sample;
use local::{Processes, REGION, Repository, Tools, sam_command};
use tokio::process::Command;

use crate::replay::FUNCTIONS;

/// Largest zip of a function, in bytes.
const MAX_ZIP_BYTES: u64 = 3_000_000;

pub(crate) async fn validate(
    repository: &Repository,
    tools: &Tools,
    processes: &Processes,
    folder: &Path,
) -> Result<()> {
    let mut sam = sam_command(repository, tools, folder);
    sam.args(["validate", "--lint", "--region", REGION]);
    sam.env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_EC2_METADATA_DISABLED", "true");
    processes
        .run("sam validate", &mut sam, &folder.join("sam-validate.log"))
        .await
}

/// Lints the translated template: in SAM's own source cfn-lint misses most mistakes.
pub(crate) async fn lint_translated(
    repository: &Repository,
    tools: &Tools,
    processes: &Processes,
    folder: &Path,
) -> Result<()> {
    let translated = translate(repository, tools, processes, folder).await?;
    let mut lint = Command::new(tools.path("cfn-lint"));
    lint.args(["--regions", REGION, "--template"])
        .arg(&translated);
    processes
        .run("cfn-lint", &mut lint, &folder.join("cfn-lint.log"))
        .await
}

/// Translates the template as CloudFormation does; returns the file.
pub(crate) async fn translate(
    repository: &Repository,
    tools: &Tools,
    processes: &Processes,
    folder: &Path,
) -> Result<PathBuf> {
    let translated = folder.join("translated.json");
    let mut translate = Command::new(tools.path("python"));
    translate
        .arg(repository.path("local/translate_template.py"))
        .arg(repository.path("template.yaml"))
        .arg(&translated);
    processes
        .run("translate", &mut translate, &folder.join("translate.log"))
        .await?;
    Ok(translated)
}

/// Deployments with various parameters, and the deployer's permissions for them, without
/// deploying.
pub(crate) async fn deployments(
    repository: &Repository,
    tools: &Tools,
    processes: &Processes,
    folder: &Path,
) -> Result<()> {
    let mut tests = Command::new(tools.path("python"));
    tests
        .args(["-m", "unittest", "discover", "--start-directory"])
        .arg(repository.path("local"));
    processes
        .run(
            "tests of the template",
            &mut tests,
            &folder.join("test-template.log"),
        )
        .await
}

/// Measures the functions as they are uploaded.
pub(crate) async fn zip_sizes(repository: &Repository) -> Result<()> {
    for function in FUNCTIONS {
        let size = zipped(repository, function)?;
        println!("     {function}: {:.2} MB zipped", size as f64 / 1e6);
        ensure!(
            size <= MAX_ZIP_BYTES,
            "{function}: {size} bytes zipped, at most {MAX_ZIP_BYTES} are wanted"
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

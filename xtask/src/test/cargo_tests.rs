use std::path::Path;

use anyhow::{Context as _, Result, bail};
use local::{Processes, Repository, without_cargo_variables};
use tokio::process::Command;

use super::checks::Counts;

pub(crate) async fn format(
    repository: &Repository,
    processes: &Processes,
    folder: &Path,
) -> Result<()> {
    processes
        .run(
            "cargo fmt",
            cargo(repository).args(["fmt", "--all", "--check"]),
            &folder.join("fmt.log"),
        )
        .await
}

pub(crate) async fn clippy(
    repository: &Repository,
    processes: &Processes,
    folder: &Path,
) -> Result<()> {
    let arguments = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--quiet",
        "--",
        "-D",
        "warnings",
    ];
    processes
        .run(
            "cargo clippy",
            cargo(repository).args(arguments),
            &folder.join("clippy.log"),
        )
        .await
}

/// Runs the workspace's tests and counts them.
pub(crate) async fn tests(
    repository: &Repository,
    processes: &Processes,
    folder: &Path,
) -> Result<Counts> {
    let log = folder.join("cargo-test.log");
    let process = processes
        .start(
            "cargo test",
            cargo(repository).args(["test", "--workspace", "--no-fail-fast"]),
            &log,
        )
        .await?;
    let status = processes.wait(process).await?;
    let text = std::fs::read_to_string(&log).with_context(|| log.display().to_string())?;
    let results: Vec<Counts> = text.lines().filter_map(counts).collect();
    let (passed, failed) = results.iter().fold((0, 0), |(passed, failed), counts| {
        (passed + counts.passed, failed + counts.failed)
    });
    if failed > 0 || !status.success() {
        println!("{text}");
    }
    if passed == 0 || failed == 0 && !status.success() {
        bail!("cargo test ended with {status} after {passed} tests");
    }
    println!(
        "     {passed} tests in {} binaries",
        results
            .iter()
            .filter(|counts| counts.passed + counts.failed > 0)
            .count()
    );
    Ok(Counts { passed, failed })
}

/// The figures of a line such as `test result: ok. 19 passed; 0 failed; 0 ignored; …`.
fn counts(line: &str) -> Option<Counts> {
    let words: Vec<&str> = line
        .strip_prefix("test result: ")?
        .split([' ', ';'])
        .filter(|word| !word.is_empty())
        .collect();
    let number = |name: &str| {
        words
            .windows(2)
            .find(|pair| pair[1] == name)
            .and_then(|pair| pair[0].parse().ok())
    };
    Some(Counts {
        passed: number("passed")?,
        failed: number("failed")?,
    })
}

fn cargo(repository: &Repository) -> Command {
    let mut cargo = Command::new("cargo");
    without_cargo_variables(&mut cargo).current_dir(repository.root());
    cargo
}

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use local::{Processes, Repository};
use tokio::process::Command;

use super::checks::Counts;
use super::demos::xtask;

const RUNS: u64 = 10;
/// A run in which every consumer lands every partition: without conditions each
/// overwrites the others.
const RIVALS: &str = "7";

/// Runs chaos as a person does, and counts the runs.
pub(crate) async fn run(
    repository: &Repository,
    processes: &Processes,
    folder: &Path,
) -> Result<Counts> {
    let mut chaos = xtask(repository)?;
    chaos.args(["chaos", "--runs", &RUNS.to_string(), "--seed", "1"]);
    let (passed, said) = run_to_end(&mut chaos, processes, &folder.join("chaos.log")).await?;
    let whole = said
        .lines()
        .filter(|line| line.contains(" whole: "))
        .count() as u64;
    if !passed {
        println!("{said}");
    }
    ensure!(
        passed == (whole == RUNS),
        "chaos says that {whole} of {RUNS} runs are whole, and ended otherwise: {said}"
    );
    let has_all =
        !said.contains(" 0 taken by retention and registered") && !said.contains(" 0 aborted;");
    ensure!(
        has_all,
        "no record was taken by retention before it landed, or none was in an aborted transaction: {said}"
    );
    said.lines()
        .filter(|line| line.contains(" runs: ") || line.starts_with("faults"))
        .for_each(|line| println!("     {line}"));
    Ok(Counts {
        passed: whole,
        failed: RUNS - whole,
    })
}

/// Takes the condition from the consumers' PUTs: chaos has to see it.
pub(crate) async fn unconditional(
    repository: &Repository,
    processes: &Processes,
    folder: &Path,
) -> Result<()> {
    let mut chaos = xtask(repository)?;
    chaos.args(["chaos", "--runs", "1", "--seed", RIVALS, "--unconditional"]);
    let (passed, said) = run_to_end(
        &mut chaos,
        processes,
        &folder.join("chaos-unconditional.log"),
    )
    .await?;
    ensure!(
        !passed && said.contains("NOT WHOLE"),
        "consumers that overwrite each other were not caught: {said}"
    );
    Ok(())
}

async fn run_to_end(
    command: &mut Command,
    processes: &Processes,
    log: &Path,
) -> Result<(bool, String)> {
    let process = processes.start("chaos", command, log).await?;
    let status = processes.wait(process).await?;
    Ok((
        status.success(),
        std::fs::read_to_string(log).with_context(|| log.display().to_string())?,
    ))
}

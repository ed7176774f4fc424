//! `cargo xtask chaos`, as a person runs it.

use anyhow::{Result, ensure};
use system_tests::Workspace;

const RUNS: usize = 10;
/// A run in which every consumer lands every partition: without conditions each
/// overwrites the others.
const RIVALS: &str = "7";

#[tokio::test(flavor = "multi_thread")]
async fn ten_runs_are_whole() -> Result<()> {
    Workspace::run("chaos", async |work| {
        let mut chaos = work.xtask(&["chaos", "--runs", &RUNS.to_string(), "--seed", "1"]);
        let said = work.execute("chaos", &mut chaos).await?;
        let whole = said
            .lines()
            .filter(|line| line.contains(" whole: "))
            .count();
        ensure!(
            whole == RUNS,
            "{whole} of {RUNS} runs are whole, and chaos ended with success: {said}"
        );
        ensure!(
            !said.contains(" 0 taken by retention and registered") && !said.contains(" 0 aborted;"),
            "no record was taken by retention before it landed, or none was in an aborted \
             transaction: {said}"
        );
        Ok(())
    })
    .await
}

/// Takes the condition from the consumers' PUTs.
#[tokio::test(flavor = "multi_thread")]
async fn consumers_that_overwrite_each_other_are_caught() -> Result<()> {
    Workspace::run("chaos-unconditional", async |work| {
        let arguments = ["chaos", "--runs", "1", "--seed", RIVALS, "--unconditional"];
        let caught = work.execute("chaos", &mut work.xtask(&arguments)).await;
        ensure!(caught.is_err(), "chaos found nothing: {caught:?}");
        let said = std::fs::read_to_string(work.log("chaos"))?;
        ensure!(said.contains("NOT WHOLE"), "chaos ended with: {said}");
        Ok(())
    })
    .await
}

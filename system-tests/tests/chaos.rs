//! `cargo xtask chaos`, as a person runs it.

use anyhow::{Result, ensure};
use system_tests::Workspace;

const RUNS: usize = 10;
/// Of ten runs these curate, those of seeds 5 and 10.
const CURATED: &str = "2 runs curated: ";
/// A run in which every consumer lands every partition: without conditions each
/// overwrites the others.
const RIVALS: &str = "7";
/// A run that curates.
const CURATING: &str = "5";

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
        let curated = said.lines().find(|line| line.contains(" runs curated: "));
        ensure!(
            curated.is_some_and(|line| line.starts_with(CURATED) && !line.contains(": 0 ")),
            "{curated:?}: {said}"
        );
        Ok(())
    })
    .await
}

/// Takes the condition from the consumers' PUTs, and then from those of curate.
#[tokio::test(flavor = "multi_thread")]
async fn those_who_overwrite_each_other_are_caught() -> Result<()> {
    Workspace::run("chaos-unconditional", async |work| {
        for (who, seed, wanted) in [
            ("consumers", RIVALS, "in the lake twice"),
            ("curate", CURATING, "files are overwritten"),
        ] {
            let arguments = [
                "chaos",
                "--runs",
                "1",
                "--seed",
                seed,
                "--unconditional",
                who,
            ];
            let caught = work.execute(who, &mut work.xtask(&arguments)).await;
            ensure!(caught.is_err(), "chaos found nothing: {caught:?}");
            let said = std::fs::read_to_string(work.log(who))?;
            ensure!(
                said.contains("NOT WHOLE") && said.contains(wanted),
                "chaos of {who} ended with: {said}"
            );
        }
        Ok(())
    })
    .await
}

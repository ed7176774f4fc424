//! `cargo xtask demo`, as a person runs it.

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::Signal;
use serde_json::Value;
use system_tests::Workspace;
use tokio::time::{Instant, sleep};

/// Rows of the sample file that are read, skipped, rejected, sent.
const HONG_KONG: [u64; 4] = [5_693, 0, 0, 5_693];

#[tokio::test(flavor = "multi_thread")]
async fn parquet() -> Result<()> {
    demo("parquet", &["--format", "parquet"], HONG_KONG).await
}

#[tokio::test(flavor = "multi_thread")]
async fn json() -> Result<()> {
    demo("json", &["--format", "json"], HONG_KONG).await
}

#[tokio::test(flavor = "multi_thread")]
async fn csv() -> Result<()> {
    demo("csv", &["--format", "csv"], HONG_KONG).await
}

#[tokio::test(flavor = "multi_thread")]
async fn synthetic_ticks_through_apache_kafka() -> Result<()> {
    demo(
        "synthetic_ticks_through_apache_kafka",
        &["--kafka", "apache", "--rows", "50000"],
        [50_000, 0, 0, 50_000],
    )
    .await
}

/// 9 rows, of which 1 is blank and 2 are not valid ticks.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_a_spreadsheet_has_rewritten() -> Result<()> {
    let csv = "xtask/testdata/spreadsheet.csv";
    demo(
        "spreadsheet",
        &["--csv", csv, "--date-order", "dmy"],
        [9, 1, 2, 6],
    )
    .await
}

/// Runs a demo and checks the figures that it writes.
async fn demo(name: &str, arguments: &[&str], wanted: [u64; 4]) -> Result<()> {
    Workspace::run(&format!("demo-{name}"), async |work| {
        // The ports that these services have by default, taken by somebody else (or by
        // these lines): the demo finds its own.
        let _taken: Vec<_> = [4566, 8883, 9000, 9092]
            .into_iter()
            .filter_map(|port| TcpListener::bind(("127.0.0.1", port)).ok())
            .collect();
        let summary = work.folder.join("summary.json");
        let mut demo = work.xtask(&["demo"]);
        demo.args(arguments).arg("--summary").arg(&summary);
        work.execute("demo", &mut demo).await?;
        expect_figures(&summary, wanted)
    })
    .await
}

fn expect_figures(summary: &Path, wanted: [u64; 4]) -> Result<()> {
    let figures: Value = serde_json::from_str(&std::fs::read_to_string(summary)?)
        .with_context(|| summary.display().to_string())?;
    let figure = |name: &str| {
        figures[name]
            .as_u64()
            .with_context(|| format!("{name} is missing in {figures}"))
    };
    let got = [
        figure("rows_read")?,
        figure("rows_skipped")?,
        figure("rows_rejected")?,
        figure("rows_sent")?,
    ];
    ensure!(
        got == wanted,
        "rows read, skipped, rejected, sent: wanted {wanted:?}, got {got:?}"
    );
    ensure!(
        figure("rows_landed")? == wanted[3] && figure("rows_dead_lettered")? == 0,
        "not all rows landed: {figures}"
    );
    ensure!(
        figure("objects")? >= 1 && figure("objects")? == figure("objects_in_mails")?,
        "not all objects in mails: {figures}"
    );
    ensure!(
        figure("hours")? >= 1 && figure("hours")? == figure("hours_in_mails")?,
        "not all hours in mails: {figures}"
    );
    ensure!(
        figure("crawls")? >= 1 && figure("mails")? >= 1,
        "no crawl or no mail: {figures}"
    );
    ensure!(
        figures["seconds"]["deploy"].is_number(),
        "no seconds per step: {figures}"
    );
    Ok(())
}

/// Interrupts a demo while everything of it runs; nothing may be left.
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_demo_leaves_nothing() -> Result<()> {
    Workspace::run("demo-interrupted", async |work| {
        let mut demo = work.xtask(&["demo", "--rows", "1000"]);
        let process = work
            .processes
            .start("demo", &mut demo, &work.log("demo"))
            .await?;
        let deadline = Instant::now() + Duration::from_secs(120);
        while !std::fs::read_to_string(work.log("demo"))?.contains("produce    1,000 rows") {
            work.processes.expect_running(process).await?;
            ensure!(
                Instant::now() < deadline,
                "the demo sent nothing within 120 s"
            );
            sleep(Duration::from_millis(50)).await;
        }
        let mark = work.repository.path(format!(".local/demo-{process}"));
        ensure!(
            !left_behind(&mark)?.is_empty(),
            "found no process of the demo while it runs: this check sees nothing"
        );
        work.processes.signal(process, Signal::INT).await;
        let status = work.processes.wait(process).await?;
        ensure!(!status.success(), "an interrupted demo ended with {status}");
        let left = left_behind(&mark)?;
        if !left.is_empty() {
            bail!("left behind: {}", left.join(", "));
        }
        Ok(())
    })
    .await
}

/// Returns the processes whose command line, environment or working directory names a
/// folder.
fn left_behind(folder: &Path) -> Result<Vec<String>> {
    let mark = folder.display().to_string();
    let own = std::process::id().to_string();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let path = entry?.path();
        let Some(id) = path
            .file_name()
            .and_then(|name| name.to_str())
            .filter(|name| name.bytes().all(|b| b.is_ascii_digit()) && **name != own)
        else {
            continue;
        };
        // A process may end while it is being looked at.
        let read = |name: &str| {
            std::fs::read(path.join(name))
                .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
                .unwrap_or_default()
        };
        let place = std::fs::read_link(path.join("cwd"))
            .map(|place| place.display().to_string())
            .unwrap_or_default();
        let command = read("cmdline").replace('\0', " ");
        if command.contains(&mark) || read("environ").contains(&mark) || place.contains(&mark) {
            found.push(format!("{id} {command}"));
        }
    }
    Ok(found)
}

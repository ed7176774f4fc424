use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use local::{Processes, Repository, without_cargo_variables};
use rustix::process::Signal;
use serde_json::Value;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

/// The demos of a test run: every format, both Kafkas, synthetic ticks.
pub(crate) const RUNS: [&[&str]; 5] = [
    &["--format", "parquet"],
    &["--format", "json"],
    &["--format", "csv"],
    &["--kafka", "apache", "--rows", "50000"],
    &[
        "--csv",
        "xtask/testdata/spreadsheet.csv",
        "--date-order",
        "dmy",
    ],
];

/// Runs a demo as a person does and checks the figures that it writes.
pub(crate) async fn run(
    arguments: &[&str],
    repository: &Repository,
    processes: &Processes,
    folder: &Path,
) -> Result<()> {
    // The ports that these services have by default, taken by somebody else (or by these
    // lines): the demo finds its own.
    let _taken: Vec<_> = [4566, 8883, 9000, 9092]
        .into_iter()
        .filter_map(|port| TcpListener::bind(("127.0.0.1", port)).ok())
        .collect();
    let name = arguments.join("-").replace(['/', '-'], "_");
    let summary = folder.join(format!("demo{name}.json"));
    let log = folder.join(format!("demo{name}.log"));
    let mut demo = xtask(repository)?;
    demo.arg("demo")
        .args(arguments)
        .arg("--summary")
        .arg(&summary);
    processes.run("demo", &mut demo, &log).await?;
    let figures: Value = serde_json::from_str(&std::fs::read_to_string(&summary)?)
        .with_context(|| summary.display().to_string())?;
    let figure = |name: &str| {
        figures[name]
            .as_u64()
            .with_context(|| format!("{name} is missing in {figures}"))
    };
    let wanted = match arguments {
        // 9 rows: 1 blank, 2 that are no ticks.
        [.., "dmy"] => (9, 1, 2, 6),
        [.., "50000"] => (50_000, 0, 0, 50_000),
        _ => (5_693, 0, 0, 5_693),
    };
    let got = (
        figure("rows_read")?,
        figure("rows_skipped")?,
        figure("rows_rejected")?,
        figure("rows_sent")?,
    );
    ensure!(
        got == wanted,
        "rows read, skipped, rejected, sent: wanted {wanted:?}, got {got:?}"
    );
    ensure!(
        figure("rows_landed")? == wanted.3 && figure("rows_dead_lettered")? == 0,
        "not all rows landed: {figures}"
    );
    ensure!(
        figure("objects")? >= 1 && figure("objects")? == figure("objects_in_mails")?,
        "not all objects in mails: {figures}"
    );
    ensure!(
        figure("crawls")? >= 1 && figure("mails")? >= 1,
        "no crawl or no mail: {figures}"
    );
    ensure!(
        figures["seconds"]["deploy"].is_number(),
        "no seconds per step: {figures}"
    );
    println!("     {figures}");
    Ok(())
}

/// What a demo refuses before it does anything, with the remedy.
pub(crate) async fn refusals(
    repository: &Repository,
    processes: &Processes,
    folder: &Path,
) -> Result<()> {
    let cases: [(&[&str], &str); 4] = [
        (&["--rows", "20001"], "run with --kafka apache"),
        (
            &["--kafka", "apache"],
            "on Debian: apt-get install openjdk-17-jre-headless maven",
        ),
        (
            &["--csv", "nowhere.csv"],
            "nowhere.csv: cannot open the CSV file",
        ),
        (&["--csv", "a.csv", "--rows", "5"], "cannot be used with"),
    ];
    for (arguments, wanted) in cases {
        let mut demo = xtask(repository)?;
        // Nothing on the PATH: no Java, and no tool that it should not have come to.
        demo.arg("demo").args(arguments).env("PATH", "");
        let refused = processes
            .run("demo", &mut demo, &folder.join("refused.log"))
            .await;
        let said = refused
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default();
        ensure!(
            said.contains(wanted),
            "demo {}: wanted {wanted:?}, got: {said}",
            arguments.join(" ")
        );
    }
    Ok(())
}

/// Interrupts a demo while everything of it runs; nothing may be left.
pub(crate) async fn interrupted(
    repository: &Repository,
    processes: &Processes,
    folder: &Path,
) -> Result<()> {
    let log = folder.join("demo-interrupted.log");
    let mut demo = xtask(repository)?;
    demo.args(["demo", "--rows", "1000"]);
    let process = processes.start("demo", &mut demo, &log).await?;
    let deadline = Instant::now() + Duration::from_secs(120);
    while !std::fs::read_to_string(&log)?.contains("produce    1,000 rows") {
        processes.expect_running(process).await?;
        ensure!(
            Instant::now() < deadline,
            "the demo sent nothing within 120 s"
        );
        sleep(Duration::from_millis(50)).await;
    }
    let mark = repository.path(format!(".local/demo-{process}"));
    ensure!(
        !left_behind(&mark)?.is_empty(),
        "found no process of the demo while it runs: this check sees nothing"
    );
    processes.signal(process, Signal::INT).await;
    let status = processes.wait(process).await?;
    ensure!(!status.success(), "an interrupted demo ended with {status}");
    let left = left_behind(&mark)?;
    if !left.is_empty() {
        bail!("left behind: {}", left.join(", "));
    }
    Ok(())
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

/// `up` in the background, a second `up` that is refused, `replay` against it, `down`,
/// and `replay` without a stack.
pub(crate) async fn up_replay_down(
    repository: &Repository,
    processes: &Processes,
    folder: &Path,
) -> Result<()> {
    let log = |name: &str| folder.join(format!("{name}.log"));
    let outcome = async {
        processes
            .run("up", xtask(repository)?.arg("up"), &log("up"))
            .await?;
        let second = processes
            .run("second up", xtask(repository)?.arg("up"), &log("up-second"))
            .await;
        ensure!(
            second.is_err_and(|error| error.to_string().contains("is up already")),
            "a second up was not refused"
        );
        processes
            .run(
                "replay",
                xtask(repository)?.args(["replay", "events/sqs-burst.json"]),
                &log("replay"),
            )
            .await?;
        let said = std::fs::read_to_string(log("replay"))?;
        ensure!(
            said.contains(
                "→ mail 0001.txt: [ticklake] 40 new files, ticks unknown, 1 dead-letter file"
            ),
            "replay said: {said}"
        );
        ensure!(said.contains("→ the crawler runs"), "replay said: {said}");
        readme_replay(repository, processes, &log("replay-readme")).await
    }
    .await;
    processes
        .run("down", xtask(repository)?.arg("down"), &log("down"))
        .await?;
    outcome?;
    let without = processes
        .run(
            "replay without a stack",
            xtask(repository)?.arg("replay"),
            &log("replay-without"),
        )
        .await;
    let said = without
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default();
    ensure!(
        said.contains("no local stack is running; start it with: cargo xtask up"),
        "replay without a stack said: {said}"
    );
    Ok(())
}

/// Runs the commands of the README's section on replaying as they stand.
async fn readme_replay(repository: &Repository, processes: &Processes, log: &Path) -> Result<()> {
    let readme = std::fs::read_to_string(repository.path("README.md"))?;
    let section = readme
        .split("\n## ")
        .find(|section| section.starts_with("Replay events"))
        .context("README has no section on replaying")?;
    let commands: Vec<&str> = section
        .split_once("```sh\n")
        .and_then(|(_, block)| block.split_once("```"))
        .context("README's section on replaying has no commands")?
        .0
        .lines()
        .collect();
    ensure!(
        commands
            .iter()
            .any(|command| command.starts_with("cargo lambda invoke")),
        "README shows no invocation: {commands:?}"
    );
    let mut script = String::from("trap 'kill $(jobs -p)' EXIT\nset -e\n");
    for command in commands {
        script.push_str(command);
        // A person takes longer to type the next line than the emulator to listen.
        script.push_str(if command.ends_with('&') {
            "\nsleep 5\n"
        } else {
            "\n"
        });
    }
    let mut shell = Command::new("bash");
    without_cargo_variables(&mut shell)
        .current_dir(repository.root())
        .args(["-c", &script]);
    processes.run("README", &mut shell, log).await?;
    let said = std::fs::read_to_string(log)?;
    ensure!(
        said.contains("{\"batchItemFailures\":[]}")
            && said.contains("Subject: [ticklake] 1 new file"),
        "README's commands said: {said}"
    );
    Ok(())
}

/// This program again.
pub(crate) fn xtask(repository: &Repository) -> Result<Command> {
    let mut xtask = Command::new(std::env::current_exe()?);
    xtask.current_dir(repository.root());
    Ok(xtask)
}

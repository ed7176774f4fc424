use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use local::{Processes, Repository, Tools, without_cargo_variables};
use tokio::process::Command;

use super::checks::Counts;

/// Tests at once, if the machine has fewer cores: the three that wait for a stack of
/// their own run together (`.config/nextest.toml`).
const MIN_TEST_THREADS: usize = 3;
/// Time between two looks at nextest's output.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

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

/// Runs the tests of the whole workspace with nextest, or those whose name or file has
/// the filter in it, and counts them. Prints names and times as they come.
pub(crate) async fn tests(
    filter: Option<&str>,
    repository: &Repository,
    processes: &Processes,
    folder: &Path,
) -> Result<Counts> {
    let log = folder.join("nextest.log");
    let threads = std::thread::available_parallelism()?
        .get()
        .max(MIN_TEST_THREADS);
    let mut nextest = Command::new(Tools::install_nextest(repository, processes).await?);
    without_cargo_variables(&mut nextest)
        .current_dir(repository.root())
        .args(["nextest", "run", "--workspace", "--test-threads"])
        .arg(threads.to_string());
    if let Some(filter) = filter {
        nextest
            .arg("-E")
            .arg(format!("test(~{filter}) | binary(~{filter})"));
    }
    let process = processes.start("cargo nextest", &mut nextest, &log).await?;
    let mut output = Output::of(&log)?;
    let status = loop {
        tokio::select! {
            status = processes.wait(process) => break status?,
            () = tokio::time::sleep(POLL_INTERVAL) => output.print_new()?,
        }
    };
    output.print_new()?;
    let text = std::fs::read_to_string(&log).with_context(|| log.display().to_string())?;
    let summary = text.lines().rev().find_map(summary);
    match summary {
        Some(counts) if status.success() == (counts.failed == 0) => Ok(counts),
        _ => bail!(
            "cargo nextest ended with {status}; its output is in {}",
            log.display()
        ),
    }
}

/// A file that grows.
struct Output {
    file: File,
}

impl Output {
    fn of(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| path.display().to_string())?;
        Ok(Self { file })
    }

    /// Prints the part that is new since the last time.
    fn print_new(&mut self) -> Result<()> {
        let mut new = Vec::new();
        self.file.read_to_end(&mut new)?;
        print!("{}", String::from_utf8_lossy(&new));
        Ok(())
    }
}

/// Runs the examples in the documentation, which nextest leaves out, and counts them.
pub(crate) async fn doctests(
    repository: &Repository,
    processes: &Processes,
    folder: &Path,
) -> Result<Counts> {
    let log = folder.join("doctests.log");
    processes
        .run(
            "cargo test --doc",
            cargo(repository).args(["test", "--workspace", "--doc"]),
            &log,
        )
        .await?;
    let text = std::fs::read_to_string(&log).with_context(|| log.display().to_string())?;
    let passed = text
        .lines()
        .filter(|line| line.starts_with("test ") && line.ends_with(" ... ok"))
        .count() as u64;
    Ok(Counts { passed, failed: 0 })
}

/// The figures of nextest's last line, such as `Summary [ 1.2s] 12 tests run: 11 passed,
/// 1 timed out, 0 skipped`: a test that has not passed has failed.
fn summary(line: &str) -> Option<Counts> {
    let (_, figures) = line
        .trim_start()
        .strip_prefix("Summary [")?
        .split_once(']')?;
    let (run, outcomes) = figures.split_once(" run: ")?;
    // `12 tests`, or `11/12 tests` if it was interrupted.
    let run: u64 = number(run.split('/').next_back()?)?;
    let passed = outcomes
        .split(", ")
        .find(|outcome| outcome.contains(" passed"))
        .map_or(Some(0), number)?;
    Some(Counts {
        passed,
        failed: run.checked_sub(passed)?,
    })
}

/// The number that a text begins with.
fn number(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

fn cargo(repository: &Repository) -> Command {
    let mut cargo = Command::new("cargo");
    without_cargo_variables(&mut cargo).current_dir(repository.root());
    cargo
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(line: &str) -> Option<(u64, u64)> {
        summary(line).map(|counts| (counts.passed, counts.failed))
    }

    #[test]
    fn a_test_that_has_not_passed_has_failed() {
        let lines = [
            "     Summary [   0.038s] 3 tests run: 3 passed, 0 skipped",
            "     Summary [  61.0s] 5 tests run: 3 passed (1 slow), 1 failed, 1 timed out, 7 \
             skipped",
            "     Summary [   2.0s] 4/9 tests run: 3 passed, 1 failed, 0 skipped",
            "     Summary [   2.0s] 1 test run: 0 passed, 1 exec failed, 0 skipped",
        ];
        assert_eq!(
            lines.map(figures),
            [Some((3, 0)), Some((3, 2)), Some((3, 6)), Some((0, 1))]
        );
        assert_eq!(figures("    PASS [   0.010s] agent tests::summary"), None);
    }
}

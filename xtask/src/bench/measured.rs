use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use local::{ProcessId, Workspace};
use tokio::process::Command;
use tokio::time::{Instant, timeout};

/// The unit of CPU time in /proc.
const CLOCK_TICKS_PER_SECOND: f64 = 100.0;

/// The resources that a process has used so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Used {
    /// Seconds of CPU, user and system.
    pub(crate) cpu_seconds: f64,
    /// Peak resident memory so far, in MiB.
    pub(crate) peak_mebibytes: f64,
}

impl Used {
    /// Reads /proc. Returns `None` if the process is gone.
    pub(crate) fn by(process: ProcessId) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        // The fields follow the name, which may contain anything. The first one is the
        // state; the 12th and 13th are user and system time.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |place: usize| fields.get(place)?.parse::<f64>().ok();
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))?
            .trim()
            .strip_suffix("kB")?
            .trim()
            .parse::<f64>()
            .ok()?;
        Some(Self {
            cpu_seconds: (ticks(11)? + ticks(12)?) / CLOCK_TICKS_PER_SECOND,
            peak_mebibytes: peak / 1024.0,
        })
    }
}

/// Runs a program to its end, with its output in the workspace's log of this name. Returns
/// the resources that it used, and its seconds.
pub(crate) async fn run(
    workspace: &Workspace,
    name: &str,
    command: &mut Command,
    limit: Duration,
) -> Result<(Used, f64)> {
    let processes = &workspace.processes;
    let log = workspace.log(name);
    let begun = Instant::now();
    let process = processes.start(name, command, &log).await?;
    let mut used = Used::default();
    loop {
        // Only a look at a running process shows what it has used.
        let ended = timeout(Duration::from_millis(10), processes.wait(process)).await;
        if let Ok(status) = ended {
            ensure!(status?.success(), "{name} failed, see {}", log.display());
            return Ok((used, begun.elapsed().as_secs_f64()));
        }
        let now = Used::by(process).filter(|now| now.cpu_seconds > 0.0);
        used = now.unwrap_or(used);
        ensure!(begun.elapsed() < limit, "{name} takes too long");
    }
}

/// Returns the value below which this part of the values is.
pub(crate) fn quantile(values: &mut [f64], part: f64) -> Result<f64> {
    values.sort_by(f64::total_cmp);
    let place = ((values.len() as f64 * part).ceil() as usize).clamp(1, values.len().max(1)) - 1;
    values.get(place).copied().context("nothing was measured")
}

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

/// Number of log lines that an error quotes.
const QUOTED_LINES: usize = 25;

/// The processes that were started here, each in its own process group. So that none
/// outlives its starter, the starter calls [`Processes::stop_all`] at the end, also after
/// an error.
#[derive(Clone, Default)]
pub struct Processes {
    running: Arc<Mutex<BTreeMap<ProcessId, Running>>>,
}

/// The process id of a process that was started here.
pub type ProcessId = u32;

struct Running {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Processes {
    /// Starts a process whose output goes to a log file.
    ///
    /// # Errors
    /// The program cannot be started; the error names it.
    pub async fn start(&self, name: &str, command: &mut Command, log: &Path) -> Result<ProcessId> {
        let file = File::create(log)
            .with_context(|| format!("{}: cannot write the log of {name}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| {
                format!(
                    "cannot start {name} ({})",
                    command.as_std().get_program().display()
                )
            })?;
        let id = child
            .id()
            .with_context(|| format!("{name} ended at once"))?;
        self.running.lock().await.insert(
            id,
            Running {
                name: name.to_owned(),
                child,
                log: log.to_path_buf(),
            },
        );
        Ok(id)
    }

    /// Runs a command to its end.
    ///
    /// # Errors
    /// The command cannot be started or fails; the error quotes the end of its log.
    pub async fn run(&self, name: &str, command: &mut Command, log: &Path) -> Result<()> {
        let id = self.start(name, command, log).await?;
        let status = self.wait(id).await?;
        if !status.success() {
            bail!("{name} failed ({status}); {}", quote(log));
        }
        Ok(())
    }

    /// Waits for a process to end by itself.
    ///
    /// # Errors
    /// The process was stopped through this type.
    pub async fn wait(&self, id: ProcessId) -> Result<ExitStatus> {
        loop {
            if let Some(status) = self.ended(id).await? {
                self.running.lock().await.remove(&id);
                return Ok(status);
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Checks that a process is running.
    ///
    /// # Errors
    /// The process has ended; the error quotes the end of its log.
    pub async fn expect_running(&self, id: ProcessId) -> Result<()> {
        let Some(status) = self.ended(id).await? else {
            return Ok(());
        };
        let running = self.running.lock().await;
        let (name, log) = running
            .get(&id)
            .map_or(("process", Path::new("")), |running| {
                (running.name.as_str(), &running.log)
            });
        bail!("{name} ended ({status}); {}", quote(log))
    }

    async fn ended(&self, id: ProcessId) -> Result<Option<ExitStatus>> {
        let mut running = self.running.lock().await;
        let running = running
            .get_mut(&id)
            .with_context(|| format!("process {id} was stopped"))?;
        Ok(running.child.try_wait()?)
    }

    /// Lets a process keep running when this one ends.
    pub async fn release(&self, id: ProcessId) {
        if let Some(running) = self.running.lock().await.remove(&id) {
            // Dropping the handle would kill the process.
            std::mem::forget(running.child);
        }
    }

    /// Sends a signal to a process and its children.
    pub async fn signal(&self, id: ProcessId, signal: Signal) {
        if self.running.lock().await.contains_key(&id) {
            send(id, signal);
        }
    }

    /// Stops a process with SIGTERM, and with SIGKILL if it is still running after the
    /// grace. Returns its exit status.
    ///
    /// # Errors
    /// The process was already stopped.
    pub async fn stop(&self, id: ProcessId, grace: Duration) -> Result<ExitStatus> {
        let running = self.running.lock().await.remove(&id);
        let mut running = running.with_context(|| format!("process {id} was stopped"))?;
        if let Some(status) = running.child.try_wait()? {
            return Ok(status);
        }
        send(id, Signal::TERM);
        let ended = timeout(grace, running.child.wait()).await;
        // This also ends the processes that it left behind.
        send(id, Signal::KILL);
        Ok(match ended {
            Ok(status) => status?,
            Err(_) => running.child.wait().await?,
        })
    }

    /// Stops every process that is still running, the youngest first.
    pub async fn stop_all(&self) {
        let ids: Vec<ProcessId> = self.running.lock().await.keys().rev().copied().collect();
        for id in ids {
            // An error is fine: the process is already gone.
            let _ = self.stop(id, Duration::from_secs(10)).await;
        }
    }
}

fn send(id: ProcessId, signal: Signal) {
    if let Some(group) = i32::try_from(id).ok().and_then(Pid::from_raw) {
        // The group may have ended by itself.
        let _ = kill_process_group(group, signal);
    }
}

fn quote(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let end = &lines[lines.len().saturating_sub(QUOTED_LINES)..];
    format!("the end of {}:\n  {}", log.display(), end.join("\n  "))
}

/// Waits until `ready` returns true.
///
/// # Errors
/// `ready` fails, or does not return true in time; the error contains `what`.
pub async fn wait_until<F: Future<Output = Result<bool>>>(
    what: &str,
    within: Duration,
    mut ready: impl FnMut() -> F,
) -> Result<()> {
    let start = Instant::now();
    loop {
        if ready().await? {
            return Ok(());
        }
        if start.elapsed() > within {
            bail!("{what}: not ready after {} s", within.as_secs());
        }
        sleep(Duration::from_millis(100)).await;
    }
}

use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use fastrand::Rng;
use local::{Ministack, ProcessId, Workspace};
use rustix::process::Signal;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use super::plan::{Membership, Plan};

/// The consumers of a run.
pub(super) struct Consumers<'a> {
    pub(super) plan: &'a Plan,
    pub(super) topic: String,
    pub(super) brokers: String,
    pub(super) endpoint: String,
    pub(super) ministack: &'a Ministack,
    pub(super) workspace: &'a Workspace,
    pub(super) running: Vec<Running>,
    pub(super) started: u64,
    pub(super) rng: Rng,
}

/// A running consumer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Running {
    pub(super) process: ProcessId,
    seat: usize,
    number: u64,
}

impl Consumers<'_> {
    fn command(&self) -> Command {
        let mut command =
            Command::new(self.workspace.repository.path("target/debug/tick-consumer"));
        command
            .env_clear()
            .envs(self.ministack.aws.environment())
            .env("RUST_LOG", "info")
            .current_dir(&self.workspace.folder);
        command.args([
            "--brokers",
            &self.brokers,
            "--topic",
            &self.topic,
            "--bucket",
            &self.topic,
        ]);
        command
    }

    fn name(&self, number: u64) -> String {
        format!("{}-consumer-{number}", self.topic)
    }

    fn log(&self, number: u64) -> PathBuf {
        self.workspace.log(&self.name(number))
    }

    /// Returns the output of a consumer.
    fn said(&self, number: u64) -> String {
        std::fs::read_to_string(self.log(number)).unwrap_or_default()
    }

    /// Starts a consumer in the first free seat.
    pub(super) async fn start(&mut self) -> Result<()> {
        let seat = (0..)
            .find(|seat| !self.running.iter().any(|running| running.seat == *seat))
            .unwrap_or_default();
        let number = self.started;
        self.started += 1;
        let mut command = self.command();
        command.env("AWS_ENDPOINT_URL", &self.endpoint);
        for (name, value) in self.plan.settings(number) {
            command.env(format!("TICK_CONSUMER_{name}"), value);
        }
        let config = self.workspace.folder.join("sessions.yaml");
        std::fs::write(
            &config,
            concat!(
                "kafka:\n  options:\n    session.timeout.ms: \"6000\"\n",
                "    heartbeat.interval.ms: \"1000\"\n",
            ),
        )?;
        if self.plan.membership != Membership::Consumer {
            command.arg("--config").arg(config);
        }
        match self.plan.membership {
            Membership::Consumer => command.args(["--group-protocol", "consumer"]),
            Membership::Classic => &mut command,
            Membership::Static => command.args(["--group-instance-id", &format!("member-{seat}")]),
            Membership::Rivals => command.args(["--group", &format!("rival-{seat}")]),
        };
        let process = self
            .workspace
            .processes
            .start(&self.name(number), &mut command, &self.log(number))
            .await?;
        self.running.push(Running {
            process,
            seat,
            number,
        });
        Ok(())
    }

    /// Removes the consumers that have ended by themselves.
    pub(super) async fn forget_ended(&mut self) {
        for Running { process, .. } in self.running.clone() {
            if self
                .workspace
                .processes
                .expect_running(process)
                .await
                .is_err()
            {
                self.running.retain(|running| running.process != process);
            }
        }
    }

    pub(super) fn draw(&mut self) -> Option<ProcessId> {
        let count = self.running.len();
        (count > 0).then(|| self.running[self.rng.usize(0..count)].process)
    }

    pub(super) async fn kill(&mut self, process: ProcessId) -> Result<()> {
        self.workspace.processes.signal(process, Signal::KILL).await;
        self.workspace.processes.wait(process).await?;
        self.running.retain(|running| running.process != process);
        Ok(())
    }

    pub(super) async fn stop(&mut self, process: ProcessId) -> Result<()> {
        let status = self
            .workspace
            .processes
            .stop(process, Duration::from_secs(10))
            .await?;
        self.running.retain(|running| running.process != process);
        // A static member that the group took for dead finds its seat taken, and logs it.
        let was_replaced = self.plan.membership == Membership::Static
            && self.count_in_logs("another consumer has joined group") > 0;
        // A consumer that has just started has no handler for the signal yet.
        let was_too_young = status.signal() == Some(Signal::TERM.as_raw());
        ensure!(
            status.success() || was_replaced || was_too_young,
            "a consumer ended with {status} after SIGTERM"
        );
        Ok(())
    }

    /// Waits until every consumer has sealed a batch, but not for ever.
    pub(super) async fn wait_for_work(&self) {
        let deadline = Instant::now() + Duration::from_secs(8);
        for Running { number, .. } in &self.running {
            while Instant::now() < deadline
                && !self.said(*number).contains("\"event\":\"batch_sealed\"")
            {
                sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// Returns how often a text is in the consumers' logs.
    pub(super) fn count_in_logs(&self, text: &str) -> u64 {
        (0..self.started)
            .map(|number| self.said(number).matches(text).count() as u64)
            .sum()
    }

    /// Checks the lake, or its curated hours, with `tick-consumer verify` and this option.
    pub(super) async fn verify(&self, option: &str) -> Result<()> {
        let name = format!("{}-verify{option}", self.topic);
        let mut command = self.command();
        // The tables' database has the bucket's name, which is the topic's.
        command.args(["--database", &self.topic, "verify", option]);
        self.workspace.run(&name, &mut command).await
    }
}

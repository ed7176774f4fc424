use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use fastrand::Rng;
use local::{FunctionAnswer, FunctionProcess, Workspace};
use serde_json::Value;
use tokio::time::sleep;

/// The longest time from the begin of an invocation to the kill.
const KILL_MILLIS: u64 = 1_500;

/// A place for a process of the function. Another process takes it after a kill.
pub(super) struct Seat {
    name: String,
    workspace: Workspace,
    environment: Vec<(String, String)>,
    rng: Rng,
    /// Percentage of the invocations in whose middle the process is killed.
    kill_rate: u8,
    function: Option<FunctionProcess>,
    started: u64,
    pub(super) killed: u64,
}

impl Seat {
    pub(super) fn new(
        name: String,
        workspace: &Workspace,
        environment: &[(String, String)],
        rng: Rng,
        kill_rate: u8,
    ) -> Self {
        Self {
            name,
            workspace: workspace.clone(),
            environment: environment.to_vec(),
            rng,
            kill_rate,
            function: None,
            started: 0,
            killed: 0,
        }
    }

    /// Kills no more processes.
    pub(super) fn spare(&mut self) {
        self.kill_rate = 0;
    }

    /// Gives an event to the function. Returns `None` if the process was killed before it
    /// answered, by kill -9 or by its deadline.
    pub(super) async fn invoke(&mut self, event: &Value) -> Result<Option<FunctionAnswer>> {
        let mut function = match self.function.take() {
            Some(function) => function,
            None => self.start().await?,
        };
        function.first_poll().await?;
        let is_killed = self.rng.u8(0..100) < self.kill_rate;
        let until = Duration::from_millis(self.rng.u64(0..KILL_MILLIS));
        let kill = async {
            match is_killed {
                true => sleep(until).await,
                false => std::future::pending().await,
            }
        };
        let answer = tokio::select! {
            answer = function.invoke(event) => Some(answer),
            () = kill => None,
        };
        if let Some(Ok(answer)) = answer {
            self.function = Some(function);
            return Ok(Some(answer));
        }
        // A function that has ended by itself is a fault. Lambda kills one that is late.
        let processes = &self.workspace.processes;
        processes.expect_running(function.process()).await?;
        function.kill().await?;
        self.killed += 1;
        Ok(None)
    }

    async fn start(&mut self) -> Result<FunctionProcess> {
        self.started += 1;
        let binary = self.workspace.repository.binary("curate");
        let log = self.log(self.started);
        FunctionProcess::start(&self.workspace.processes, &binary, &self.environment, &log).await
    }

    fn log(&self, number: u64) -> PathBuf {
        self.workspace.log(&format!("{}-{number}", self.name))
    }

    /// Stops the process, and returns what all of them have logged.
    pub(super) async fn stop(&mut self) -> Result<String> {
        if let Some(function) = self.function.take() {
            function.stop().await?;
        }
        let logs = (1..=self.started).map(|number| std::fs::read_to_string(self.log(number)));
        Ok(logs.collect::<std::io::Result<_>>()?)
    }
}

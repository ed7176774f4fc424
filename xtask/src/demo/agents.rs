use anyhow::{Context as _, Result};
use local::sample::TOPIC;
use local::{ProcessId, Role, Stack, Workspace};
use serde::Deserialize;
use tokio::process::Command;

use super::input::Input;
use super::options::{Options, flag_value};
use wording::{count, grouped};

/// The producer's own figures, from its `--summary`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Figures {
    pub(crate) rows_read: u64,
    pub(crate) rows_skipped: u64,
    pub(crate) rows_rejected: u64,
    pub(crate) rows_sent: u64,
}

/// The result of the producer's run.
pub(crate) struct Produced {
    pub(crate) figures: Figures,
    /// Its output about rejected rows.
    pub(crate) rejected_lines: String,
}

impl Produced {
    pub(crate) fn sentence(&self, input: &str) -> String {
        let Figures {
            rows_read,
            rows_skipped,
            rows_rejected,
            rows_sent,
        } = self.figures;
        let skipped = if rows_skipped == 0 {
            String::new()
        } else {
            format!(", {}", count(rows_skipped, "blank row"))
        };
        format!(
            "{} rows of {input} → {} ticks sent, {} rejected{skipped}",
            grouped(rows_read),
            grouped(rows_sent),
            grouped(rows_rejected)
        )
    }
}

/// Starts `tick-consumer` as on EC2, with the template's settings and role. A few
/// settings differ, to make the demo short.
pub(crate) async fn start_consumer(
    input: &Input,
    workspace: &Workspace,
    stack: &Stack,
) -> Result<ProcessId> {
    let mut consumer = consumer(workspace, stack).await?;
    consumer.args([
        "--max-age",
        "2s",
        "--max-rows",
        &input.rows_per_batch().to_string(),
        "--listen",
        "127.0.0.1:0",
    ]);
    let log = workspace.log("tick-consumer");
    let processes = &workspace.processes;
    processes.start("tick-consumer", &mut consumer, &log).await
}

/// Compares the curated hours with their raw objects; returns the verdict.
///
/// # Errors
/// They are not whole.
pub(crate) async fn verify_curated(workspace: &Workspace, stack: &Stack) -> Result<String> {
    let mut verify = consumer(workspace, stack).await?;
    verify.args(["verify", "--curated"]);
    workspace.run("verify-curated", &mut verify).await?;
    let log = workspace.log("verify-curated");
    let output = std::fs::read_to_string(&log).with_context(|| log.display().to_string())?;
    let verdict = output.lines().find_map(|line| line.strip_prefix("whole: "));
    let verdict = verdict.with_context(|| format!("{}: no verdict", log.display()))?;
    Ok(verdict.trim_end_matches('.').to_owned())
}

/// Returns the command of `tick-consumer` with the template's settings and role.
async fn consumer(workspace: &Workspace, stack: &Stack) -> Result<Command> {
    let aws = &stack.ministack.aws;
    let deployment = &stack.deployment;
    let role = Role::read(aws, deployment.output("ConsumerRoleName")?).await?;
    let mut consumer = agent(workspace, "tick-consumer");
    consumer
        .envs(role.environment(aws).await?)
        .arg("--config")
        .arg(format!("ssm:{}", deployment.output("ConsumerConfigName")?));
    Ok(consumer)
}

/// Runs `tick-producer` to its end.
pub(crate) async fn produce(
    options: &Options,
    input: &Input,
    workspace: &Workspace,
    brokers: &str,
) -> Result<Produced> {
    let summary = workspace.folder.join("producer.json");
    let mut producer = agent(workspace, "tick-producer");
    producer
        .args([
            "--brokers",
            brokers,
            "--topic",
            TOPIC.0,
            "--event-time",
            &flag_value(options.event_time),
            "--summary",
        ])
        .arg(&summary);
    match input {
        Input::Csv { path, .. } => {
            producer.arg("--csv").arg(std::path::absolute(path)?);
        }
        Input::Synthetic { rows } => {
            producer.args(["--source", "synthetic", "--rows", &rows.to_string()]);
        }
    }
    if let Some(order) = options.date_order {
        producer.args(["--date-order", &flag_value(order)]);
    }
    workspace.run("tick-producer", &mut producer).await?;
    let log = workspace.log("tick-producer");
    let text = std::fs::read_to_string(&summary).with_context(|| summary.display().to_string())?;
    let figures: Figures =
        serde_json::from_str(&text).with_context(|| summary.display().to_string())?;
    let output = std::fs::read_to_string(&log).with_context(|| log.display().to_string())?;
    let rejected: Vec<&str> = output
        .lines()
        .filter(|line| line.starts_with("rejected:") || line.contains("(kept in"))
        .collect();
    Ok(Produced {
        figures,
        rejected_lines: rejected.join("\n"),
    })
}

/// Returns the command of an agent. Like systemd, it passes no configuration of this
/// shell.
fn agent(workspace: &Workspace, name: &str) -> Command {
    let folder = &workspace.folder;
    let mut command = Command::new(workspace.repository.binary(name));
    command.env_clear().env("HOME", folder).current_dir(folder);
    if let Some(level) = std::env::var_os("RUST_LOG") {
        command.env("RUST_LOG", level);
    }
    command
}

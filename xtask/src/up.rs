use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use local::sample::{self, TOPIC};
use local::{Kafka, KafkaKind, Ministack, Parameters, Processes, Repository, Stack, StackOptions};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde::{Deserialize, Serialize};

use crate::background::Background;
use crate::demo::{FormatName, KafkaName};
use crate::prepare;
use crate::steps::Steps;
use wording::count;

/// Options of `cargo xtask up`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// Format of the lake
    #[arg(long, value_enum, default_value = "parquet")]
    format: FormatName,
    /// Embedded mock cluster, or a real Apache Kafka broker (needs Java 17 and Maven)
    #[arg(long, value_enum, default_value = "mock")]
    kafka: KafkaName,
}

/// The description of a running stack for other processes: `.local/stack.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct State {
    pid: i32,
    pub(crate) mailbox: PathBuf,
    pub(crate) environment: BTreeMap<String, String>,
}

/// Starts the stack in the background.
pub(crate) async fn up(options: Options, processes: &Processes) -> Result<()> {
    KafkaKind::from(options.kafka).check()?;
    if !Background::is_here() {
        return Background::start(processes).await;
    }
    let mut steps = Steps::new();
    let repository = Repository::here();
    let folder = prepare::run_folder(&repository, "up")?;
    let tools = prepare::tools_and_build(&mut steps, &repository, processes, &folder).await?;
    let (stack, kafka) = steps
        .step("up", "starting AWS and Kafka, sam deploy", async {
            let ministack = Ministack::start(&tools, processes, &folder).await?;
            let kafka = Kafka::start(options.kafka.into(), &repository, processes, &folder).await?;
            kafka.create_topic(TOPIC.0, TOPIC.1).await?;
            let parameters = Parameters {
                format: options.format.into(),
                kafka: kafka.brokers().to_owned(),
                ..sample::parameters()
            };
            let options = StackOptions {
                folder: folder.clone(),
                parameters,
            };
            let stack = Stack::deploy(ministack, &repository, &tools, processes, &options).await?;
            Ok((
                format!(
                    "stack ticklake: {}",
                    count(stack.deployment.resources as u64, "resource")
                ),
                (stack, kafka),
            ))
        })
        .await?;
    State::of(&stack, &kafka)?
        .serve(stack, kafka, processes)
        .await
}

/// Stops the running stack.
pub(crate) async fn down() -> Result<()> {
    let Some(state) = State::running()? else {
        println!("no local stack is running");
        return Ok(());
    };
    let pid = state
        .process()
        .context("the stack's state has no process id")?;
    kill_process(pid, Signal::TERM)?;
    let started = Instant::now();
    while test_kill_process(pid).is_ok() {
        if started.elapsed() > Duration::from_secs(60) {
            bail!(
                "process {} is still running after 60 s; its log is .local/stack.log",
                state.pid
            );
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    State::forget()?;
    println!(
        "stopped; the stack's state (objects, catalog, topics) is gone, \
         logs and mails are in .local/"
    );
    Ok(())
}

impl State {
    /// Returns the description of this process's stack.
    pub(crate) fn of(stack: &Stack, kafka: &Kafka) -> Result<Self> {
        let mut environment = stack.function_environment()?;
        let settings = [
            ("TICK_PRODUCER_KAFKA__BROKERS", kafka.brokers()),
            ("TICK_CONSUMER_KAFKA__BROKERS", kafka.brokers()),
            (
                "TICK_CONSUMER_LAKE__BUCKET",
                stack.deployment.output("LakeBucket")?,
            ),
        ];
        environment.extend(settings.map(|(name, value)| (name.to_owned(), value.to_owned())));
        Ok(Self {
            pid: i32::try_from(std::process::id())?,
            mailbox: stack.mailbox.folder().to_path_buf(),
            environment,
        })
    }

    /// Writes the description of the stack and serves it until a signal ends this
    /// process.
    pub(crate) async fn serve(
        self,
        stack: Stack,
        kafka: Kafka,
        processes: &Processes,
    ) -> Result<()> {
        let repository = Repository::here();
        let mut exports: String = self
            .environment
            .iter()
            .map(|(name, value)| format!("export {name}={value}\n"))
            .collect();
        exports.push_str(&format!(
            "export PATH={}:$PATH\n",
            repository.path(".tools/venv/bin").display()
        ));
        let script = repository.path(".local/stack.env");
        std::fs::write(&script, &exports).with_context(|| script.display().to_string())?;
        println!();
        println!("aws        {}", stack.ministack.aws.endpoint());
        println!(
            "kafka      {} ({}), topic {}",
            kafka.brokers(),
            kafka.describe(),
            TOPIC.0
        );
        println!("lake       s3://{}", stack.deployment.output("LakeBucket")?);
        println!(
            "mailbox    {}",
            relative(&repository, &self.mailbox).display()
        );
        println!(
            "\nTo use it from this shell (aws CLI, agents, cargo lambda):  . .local/stack.env\n"
        );
        print!("{exports}");
        println!("\ncargo xtask down ends it and deletes its state (objects, catalog, topics).");
        let path = Self::path(&repository);
        let written = path.with_extension("json.new");
        std::fs::write(&written, serde_json::to_string_pretty(&self)?)
            .with_context(|| written.display().to_string())?;
        std::fs::rename(&written, &path).with_context(|| path.display().to_string())?;
        loop {
            for process in [Some(stack.ministack.process), kafka.process()]
                .into_iter()
                .flatten()
            {
                processes.expect_running(process).await?;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// Returns the running stack, if there is one.
    ///
    /// # Errors
    /// The state cannot be read.
    pub(crate) fn running() -> Result<Option<Self>> {
        let path = Self::path(&Repository::here());
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        let state: Self = serde_json::from_str(&text)
            .with_context(|| format!("{}: remove it", path.display()))?;
        let is_ours = || {
            std::fs::read_to_string(format!("/proc/{}/cmdline", state.pid))
                .is_ok_and(|line| line.contains("xtask"))
        };
        Ok(state
            .process()
            .filter(|pid| test_kill_process(*pid).is_ok() && is_ours())
            .map(|_| state.clone()))
    }

    /// Returns the running stack.
    ///
    /// # Errors
    /// No stack is running; the error has the remedy.
    pub(crate) fn expect_running() -> Result<Self> {
        Self::running()?.context("no local stack is running; start it with: cargo xtask up")
    }

    /// Returns the URL of the stack's AWS.
    pub(crate) fn endpoint(&self) -> &str {
        self.environment
            .get("AWS_ENDPOINT_URL")
            .map_or("", String::as_str)
    }

    fn process(&self) -> Option<Pid> {
        Pid::from_raw(self.pid)
    }

    fn path(repository: &Repository) -> PathBuf {
        repository.path(".local/stack.json")
    }

    fn forget() -> Result<()> {
        let repository = Repository::here();
        for path in [Self::path(&repository), repository.path(".local/stack.env")] {
            if path.exists() {
                std::fs::remove_file(&path).with_context(|| path.display().to_string())?;
            }
        }
        Ok(())
    }
}

fn relative<'a>(repository: &Repository, path: &'a Path) -> &'a Path {
    path.strip_prefix(repository.root()).unwrap_or(path)
}

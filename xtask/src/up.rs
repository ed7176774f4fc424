use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use local::sample::{self, TOPIC};
use local::{Kafka, KafkaKind, Ministack, Parameters, Processes, Stack};
use rustix::process::{Signal, kill_process, test_kill_process};

use crate::background::Background;
use crate::demo::{FormatName, KafkaName};
use crate::prepare;
use crate::state::State;
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

/// Starts the stack in the background.
pub(crate) async fn up(options: Options, processes: &Processes) -> Result<()> {
    KafkaKind::from(options.kafka).check()?;
    if !Background::is_here() {
        return Background::start(processes).await;
    }
    let mut steps = Steps::new();
    let workspace = prepare::tools_and_build(&mut steps, "up", processes).await?;
    let (stack, kafka) = steps
        .step("up", "starting AWS and Kafka, sam deploy", async {
            let ministack = Ministack::start(&workspace).await?;
            let kafka = Kafka::start(options.kafka.into(), &workspace).await?;
            kafka.create_topic(TOPIC.0, TOPIC.1).await?;
            let parameters = Parameters {
                format: options.format.into(),
                kafka: kafka.brokers().to_owned(),
                ..sample::parameters()
            };
            let stack = Stack::deploy(ministack, &workspace, &parameters).await?;
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
                pid.as_raw_nonzero()
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

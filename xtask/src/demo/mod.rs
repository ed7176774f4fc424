//! `cargo xtask demo`: runs the whole path on real input, and proves its claims.

mod agents;
mod curated;
mod input;
mod options;
mod pipeline;
mod queries;
mod summary;

use std::time::Instant;

use anyhow::{Context as _, Result};
use local::{KafkaKind, Processes};

use crate::background::Background;
use crate::prepare;
use crate::state::State;
use crate::steps::Steps;
use input::Input;
pub(crate) use options::{FormatName, KafkaName, Options};
use pipeline::{Finished, Pipeline};

/// Runs the demo. With `--keep` it runs in the background, and its output is printed here
/// until it is done.
pub(crate) async fn run(options: Options, processes: &Processes) -> Result<()> {
    let input = Input::of(&options)?;
    KafkaKind::from(options.kafka).check()?;
    match (options.keep, Background::is_here()) {
        (true, false) => Background::start(processes).await,
        _ => show(&options, &input, processes).await,
    }
}

async fn show(options: &Options, input: &Input, processes: &Processes) -> Result<()> {
    let started = Instant::now();
    let mut steps = Steps::new();
    let name = format!("demo-{}", std::process::id());
    let workspace = prepare::tools_and_build(&mut steps, &name, processes).await?;
    let folder = &workspace.folder;
    let mut pipeline = Pipeline {
        options,
        input,
        workspace: &workspace,
        steps: &mut steps,
    };
    let outcome = pipeline.run().await;
    let Finished {
        stack,
        kafka,
        summary,
    } = outcome.with_context(|| format!("the logs are in {}", folder.display()))?;
    if let Some(path) = &options.summary {
        summary.write(path, steps.seconds(), started.elapsed())?;
    }
    if options.keep {
        steps.line(
            "kept",
            "the stack keeps running; cargo xtask down ends it and its state",
        );
        return State::of(&stack, &kafka)?
            .serve(stack, kafka, processes)
            .await;
    }
    drop((stack, kafka));
    processes.stop_all().await;
    std::fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
    println!(
        "Try next:  cargo xtask up, then cargo xtask replay events/s3-put.json · \
         cargo xtask demo --format csv · docs/deploy.md"
    );
    Ok(())
}

//! The commands for people: `cargo xtask demo`, `test`, `up`, `down`, `replay`, `chaos`,
//! `bench`, `aws-check`.

mod aws_check;
mod background;
mod bench;
mod chaos;
mod demo;
mod prepare;
mod replay;
mod steps;
mod test;
mod up;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use local::Processes;
use tokio::signal::unix::{SignalKind, signal};

/// Sets up, runs and checks ticklake on this machine. Tools go to .tools/, logs and state
/// to .local/.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the whole path (CSV → Kafka → S3 → crawl → catalog → query → mail) and check
    /// the result
    Demo(demo::Options),
    /// Run all checks of the project
    Test(test::Options),
    /// Start the local stack and leave it running
    Up(up::Options),
    /// Stop the local stack and delete its state
    Down,
    /// Invoke the functions with sample events through cargo-lambda, against the running
    /// local stack
    Replay(replay::Options),
    /// Torture consumers, brokers and S3, and count the records that landed
    Chaos(chaos::Options),
    /// Measure the cost and speed of agents and functions
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Check a stack on AWS: the steps of docs/aws-checklist.md, one line for each
    AwsCheck(aws_check::Options),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_env_filter("warn,rdkafka=off")
        .with_writer(std::io::stderr)
        .with_target(false)
        .init();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(run(cli.command));
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a command. Even if it fails, it leaves no process behind.
async fn run(command: Command) -> Result<()> {
    let processes = Processes::default();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let outcome = tokio::select! {
        outcome = dispatch(command, &processes) => outcome,
        _ = interrupt.recv() => Err(anyhow::anyhow!("interrupted")),
        _ = terminate.recv() => Err(anyhow::anyhow!("interrupted")),
    };
    processes.stop_all().await;
    outcome
}

async fn dispatch(command: Command, processes: &Processes) -> Result<()> {
    match command {
        Command::Demo(options) => demo::run(options, processes).await,
        Command::Test(options) => test::run(options, processes).await,
        Command::Up(options) => up::up(options, processes).await,
        Command::Down => up::down().await,
        Command::Replay(options) => replay::run(options, processes).await,
        Command::Bench(bench) => bench::run(bench, processes).await,
        Command::Chaos(options) => chaos::run(options, processes).await,
        Command::AwsCheck(options) => aws_check::run(options, processes).await,
    }
}

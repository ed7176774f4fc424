//! `tick-producer`: parse, open the source, send until its end or a signal.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use tick_producer::{Cli, Command};

fn main() -> ExitCode {
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start() -> anyhow::Result<()> {
    agent::load_dotenv()?;
    let cli = Cli::parse();
    let config = cli.config()?;
    agent::start_logs()?;
    // The runtime is for the signals. Sending blocks on librdkafka's queue.
    let runtime = tokio::runtime::Runtime::new()?;
    let shutdown = runtime.block_on(async { agent::shutdown_signal() })?;
    match cli.command() {
        Command::Check => tick_producer::check(&config),
        Command::Run => {
            let report = tick_producer::run(&config, &shutdown)?;
            println!("{report}");
            if let Some(path) = &cli.summary {
                std::fs::write(path, serde_json::to_string_pretty(&report)?)
                    .with_context(|| format!("{}: cannot write the summary", path.display()))?;
            }
            report.verdict()
        }
    }
}

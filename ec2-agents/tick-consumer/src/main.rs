//! `tick-consumer`: parse, build the clients, run until a signal.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use tick_consumer::Cli;

fn main() -> ExitCode {
    match start() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start() -> anyhow::Result<bool> {
    agent::load_dotenv()?;
    let cli = Cli::parse();
    let config = cli.config()?;
    agent::start_logs()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let outcome = runtime.block_on(async {
        let shutdown = agent::shutdown_signal()?;
        tick_consumer::execute(cli.command(), config, shutdown).await
    });
    // A call to a Kafka that is away may block for a minute; nobody waits for its answer
    // any more.
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

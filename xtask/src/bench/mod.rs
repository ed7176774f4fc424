//! `cargo xtask bench`: cost and speed of agents and functions on this machine in one
//! run. Compare ratios, not runs.

mod curate;
mod functions;
mod measured;
mod sink;

use anyhow::Result;
use clap::Subcommand;
use local::Processes;

/// The subject of the measurement.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Bench {
    /// The consumer: CPU and rows a second by format, freshness, memory, recovery after
    /// kill -9
    Sink(sink::Options),
    /// The functions: size, start, object created → mail, events a second by batch size
    Functions(functions::Options),
    /// Curated hours: CPU beside DuckDB, memory of a full unit, bytes that a query reads,
    /// cost of an hour
    Curate(curate::Options),
}

pub(crate) async fn run(bench: Bench, processes: &Processes) -> Result<()> {
    match bench {
        Bench::Sink(options) => sink::run(options, processes).await,
        Bench::Functions(options) => functions::run(options, processes).await,
        Bench::Curate(options) => curate::run(options, processes).await,
    }
}

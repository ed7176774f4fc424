mod cost;
mod folder;
mod unit;

use anyhow::{Context as _, Result};
use clap::Args;
use local::{Build, Deployment, Processes, Repository, without_cargo_variables};
use serde_json::json;
use tokio::process::Command;
use wording::grouped;

use crate::prepare;
use crate::steps::Steps;
use cost::{Costs, Hour};
use folder::Folder;

/// The symbol with as many ticks as the mean symbol, and the one with most, among those
/// that `curate_folder` writes.
const SYMBOLS: [&str; 2] = ["0096.HK", "0000.HK"];
/// Units of which one is measured, to tell reading from sorting.
const UNITS: u32 = 8;

/// Options of `cargo xtask bench curate`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// Ticks of the hour
    #[arg(long, default_value_t = 10_000_000)]
    ticks: u64,
    /// Raw objects of the hour
    #[arg(long, default_value_t = 60)]
    objects: u64,
    /// Number of times that each program sorts the hour; its lowest CPU time counts
    #[arg(long, default_value_t = 1)]
    rounds: usize,
}

pub(crate) async fn run(options: Options, processes: &Processes) -> Result<()> {
    let workspace = prepare::workspace("bench-curate", processes).await?;
    let mut steps = Steps::new();
    let doing = "cargo build --release and sam build, some minutes the first time";
    let build = async {
        let mut cargo = Command::new("cargo");
        without_cargo_variables(&mut cargo).current_dir(workspace.repository.root());
        cargo.args(["build", "--release", "--example", "curate_folder"]);
        workspace.run("cargo build", &mut cargo).await?;
        Deployment::build(Build::Functions, &workspace).await?;
        Ok(("curate_folder, curate".to_owned(), ()))
    };
    steps.step("build", doing, build).await?;
    let memory = memory_size(&workspace.repository)?;
    let Options { ticks, objects, .. } = options;
    let folder = Folder::new(&workspace, ticks);
    let write = async {
        let bytes = folder.write(objects).await?;
        let bytes_a_tick = bytes as f64 / ticks as f64;
        let text = format!(
            "{} ticks in {objects} raw objects, {bytes_a_tick:.1} bytes each",
            grouped(ticks)
        );
        Ok((text, bytes_a_tick))
    };
    let bytes_a_tick = steps.step("write", "raw objects of an hour", write).await?;

    // Before the whole hour, whose files are asked later.
    let cut = async {
        let part = folder.sort(UNITS).await?;
        let text = format!(
            "{} ticks of one of {UNITS} units: {:.1} cpu-s",
            grouped(part.ticks),
            part.cpu_seconds
        );
        Ok((text, part))
    };
    let part = steps.step("cut", "one of several units", cut).await?;
    let sort = async {
        let sorted = folder.best(options.rounds, memory).await?;
        Ok((sorted.describe(ticks), sorted))
    };
    let doing = "ticks and bars, beside DuckDB";
    let sorted = steps.step("sort", doing, sort).await?;
    let costs = Costs::of(&sorted.ours, &part);
    steps.detail(&costs.describe());
    let mut figures = json!({
        "ticks": ticks,
        "bytes_a_tick": bytes_a_tick,
        "cpu_seconds_per_million": sorted.per_million(ticks),
        "ratio_to_duckdb": sorted.ratio(),
        "peak_mebibytes": sorted.ours.peak_mebibytes,
    });

    for symbol in SYMBOLS {
        let query = async {
            let asked = folder.query(symbol).await?;
            Ok((asked.describe(symbol), asked.figures()))
        };
        figures[symbol] = steps
            .step("query", &format!("{symbol} by DuckDB"), query)
            .await?;
    }

    let doing = "curate itself, over the local AWS";
    let unit = async {
        let unit = unit::measure(&workspace, folder.path()).await?;
        Ok((unit.describe(memory), unit))
    };
    let unit = steps.step("unit", doing, unit).await?;
    figures["unit_peak_mebibytes"] = json!(unit.used.peak_mebibytes);
    let hour = Hour::at_10_000_ticks(bytes_a_tick, &costs, &unit, memory);
    steps.line("hour", &hour.describe());
    figures["dollars_an_hour"] = json!(hour.dollars());
    let summary = workspace.folder.join("figures.json");
    std::fs::write(&summary, format!("{figures:#}"))?;
    println!("figures in {}", summary.display());
    Ok(())
}

/// Returns the function's `MemorySize` in the template, in MiB.
fn memory_size(repository: &Repository) -> Result<u64> {
    let template = std::fs::read_to_string(repository.path("template.yaml"))?;
    let size = template
        .split_once("\n  CurateFunction:\n")
        .and_then(|(_, function)| function.split_once("MemorySize: "))
        .and_then(|(_, size)| size.lines().next()?.parse().ok());
    size.context("template.yaml has no MemorySize of CurateFunction")
}

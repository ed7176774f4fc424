use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use local::Workspace;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::bench::measured;

const LIMIT: Duration = Duration::from_secs(600);

/// An hour of raw objects in a folder, and its sorted files.
pub(super) struct Folder<'a> {
    workspace: &'a Workspace,
    path: PathBuf,
    ticks: u64,
}

/// The resources of one program that sorts.
#[derive(Debug, Clone, Copy)]
pub(super) struct One {
    pub(super) cpu_seconds: f64,
    pub(super) peak_mebibytes: f64,
    /// Ticks and bars that it has written.
    pub(super) ticks: u64,
    bars: u64,
}

/// Ours and DuckDB's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sorted {
    pub(super) ours: One,
    duckdb: DuckDb,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct DuckDb {
    cpu_seconds: f64,
    peak_mebibytes: f64,
    bars: u64,
}

/// A query of one symbol.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Asked {
    bytes: u64,
    seconds: f64,
    ticks: u64,
}

/// A query over raw objects, and over a sorted file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Both {
    raw: Asked,
    sorted: Asked,
}

impl<'a> Folder<'a> {
    pub(super) fn new(workspace: &'a Workspace, ticks: u64) -> Self {
        Self {
            path: workspace.folder.join("hour"),
            workspace,
            ticks,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the raw objects. Returns their bytes.
    pub(super) async fn write(&self, objects: u64) -> Result<u64> {
        let mut program = self.program("write");
        program.args([&self.ticks.to_string(), &objects.to_string(), "parquet"]);
        self.workspace.run("write", &mut program).await?;
        let mut bytes = 0;
        for object in raw_objects(&self.path)? {
            bytes += std::fs::metadata(&object)?.len();
        }
        Ok(bytes)
    }

    /// Sorts with both programs in turns, so that a drift of the machine's speed does not
    /// favour one. Returns the cheapest round of each. DuckDB gets so many MiB.
    pub(super) async fn best(&self, rounds: usize, memory: u64) -> Result<Sorted> {
        let mut best: Option<Sorted> = None;
        for _ in 0..rounds.max(1) {
            let duckdb = self.duckdb_sorts(memory).await?;
            let ours = self.sort(1).await?;
            let (bars, its) = (ours.bars, duckdb.bars);
            ensure!(bars == its, "{bars} bars, and DuckDB makes {its}");
            let round = Sorted { ours, duckdb };
            best = Some(best.map_or(round, |best| Sorted {
                ours: cheaper(best.ours, ours, |one| one.cpu_seconds),
                duckdb: cheaper(best.duckdb, duckdb, |one| one.cpu_seconds),
            }));
        }
        best.context("no round")
    }

    /// Sorts the first of so many units.
    pub(super) async fn sort(&self, units: u32) -> Result<One> {
        let name = format!("sort-{units}");
        let mut program = self.program("sort");
        program.args(["parquet", &units.to_string()]);
        let (used, _) = measured::run(self.workspace, &name, &mut program, LIMIT).await?;
        let said = std::fs::read_to_string(self.workspace.log(&name))?;
        let counts: Vec<u64> = said
            .split([' ', ','])
            .filter_map(|word| word.parse().ok())
            .collect();
        let [ticks, bars] = counts[..] else {
            anyhow::bail!("curate_folder said {said}");
        };
        Ok(One {
            cpu_seconds: used.cpu_seconds,
            peak_mebibytes: used.peak_mebibytes,
            ticks,
            bars,
        })
    }

    async fn duckdb_sorts(&self, memory: u64) -> Result<DuckDb> {
        let folder = self.path.display().to_string();
        let arguments = ["sort", &self.raw(), &folder, &memory.to_string()];
        Ok(serde_json::from_value(self.duckdb(&arguments).await?)?)
    }

    /// Asks for a symbol.
    pub(super) async fn query(&self, symbol: &str) -> Result<Both> {
        let query = async |files: &str| {
            let answer = self.duckdb(&["query", files, symbol]).await?;
            anyhow::Ok(serde_json::from_value::<Asked>(answer)?)
        };
        let sorted = self.path.join("ticks.sorted").display().to_string();
        let both = Both {
            raw: query(&self.raw()).await?,
            sorted: query(&sorted).await?,
        };
        let (raw, sorted) = (both.raw.ticks, both.sorted.ticks);
        ensure!(
            raw == sorted && raw > 0,
            "{symbol} has {raw} raw ticks, {sorted} sorted ones"
        );
        Ok(both)
    }

    fn program(&self, command: &str) -> Command {
        let repository = &self.workspace.repository;
        let mut program = Command::new(repository.path("target/release/examples/curate_folder"));
        program.arg(command).arg(&self.path);
        program
    }

    /// Returns the pattern of the raw objects.
    fn raw(&self) -> String {
        format!("{}/ticks/*/*/*.parquet", self.path.display())
    }

    async fn duckdb(&self, arguments: &[&str]) -> Result<Value> {
        let mut python = Command::new(self.workspace.tools.path("python"));
        python
            .arg(self.workspace.repository.path("local/bench_curate.py"))
            .args(arguments)
            .kill_on_drop(true);
        let output = python.output().await?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "DuckDB: {}", errors.trim());
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

/// Returns the paths of the raw objects in a folder, which end in their keys.
pub(super) fn raw_objects(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut objects = Vec::new();
    for day in std::fs::read_dir(folder.join("ticks"))? {
        for hour in std::fs::read_dir(day?.path())? {
            for object in std::fs::read_dir(hour?.path())? {
                objects.push(object?.path());
            }
        }
    }
    objects.sort();
    Ok(objects)
}

fn cheaper<T>(a: T, b: T, cost: fn(&T) -> f64) -> T {
    if cost(&a) <= cost(&b) { a } else { b }
}

impl Sorted {
    pub(super) fn ratio(&self) -> f64 {
        self.ours.cpu_seconds / self.duckdb.cpu_seconds
    }

    pub(super) fn per_million(&self, ticks: u64) -> f64 {
        self.ours.cpu_seconds / ticks as f64 * 1e6
    }

    pub(super) fn describe(&self, ticks: u64) -> String {
        format!(
            "{:.2} cpu-s per million, {:.0} MiB; DuckDB {:.2}, {:.0} MiB: {:.2} × its CPU",
            self.per_million(ticks),
            self.ours.peak_mebibytes,
            self.duckdb.cpu_seconds / ticks as f64 * 1e6,
            self.duckdb.peak_mebibytes,
            self.ratio()
        )
    }
}

impl Both {
    pub(super) fn describe(&self, symbol: &str) -> String {
        let Self { raw, sorted } = self;
        format!(
            "{symbol}, {} ticks: {:.2} MB in {:.0} ms, raw {:.1} MB in {:.0} ms: \
             {:.0} × fewer bytes, {:.0} × faster",
            wording::grouped(sorted.ticks),
            sorted.bytes as f64 / 1e6,
            sorted.seconds * 1e3,
            raw.bytes as f64 / 1e6,
            raw.seconds * 1e3,
            raw.bytes as f64 / sorted.bytes as f64,
            raw.seconds / sorted.seconds
        )
    }

    pub(super) fn figures(&self) -> Value {
        let Self { raw, sorted } = self;
        json!({
            "ticks": sorted.ticks,
            "raw_bytes": raw.bytes,
            "sorted_bytes": sorted.bytes,
            "raw_seconds": raw.seconds,
            "sorted_seconds": sorted.seconds,
        })
    }
}

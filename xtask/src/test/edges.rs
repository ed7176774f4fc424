use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail};
use local::{Repository, without_cargo_variables};
use serde_json::Value;
use tokio::process::Command;

/// Crates without I/O: nothing below them, however deep, may be one of [`IMPURE`].
const PURE: [&str; 8] = [
    "tick",
    "lake",
    "lake-layout",
    "curation",
    "curated-audit",
    "curated-files",
    "object-event",
    "wording",
];
const IMPURE: [&str; 3] = ["tokio", "rdkafka", "aws-config"];
/// Programs that run alone: they import libraries, never each other, nor the local stack.
const PROGRAMS: [&str; 5] = [
    "tick-producer",
    "tick-consumer",
    "start-crawler",
    "notify",
    "curate",
];

/// Checks who imports whom, as ARCHITECTURE.md says it.
pub(crate) async fn check(repository: &Repository) -> Result<()> {
    let graph = Graph::of(repository).await?;
    let mut faults = Vec::new();
    for name in PURE {
        let below = graph.below(name)?;
        faults.extend(
            IMPURE
                .iter()
                .filter(|impure| below.contains(**impure))
                .map(|impure| format!("{name} is pure but depends on {impure}")),
        );
        let sdk = below.iter().filter(|below| below.starts_with("aws-sdk-"));
        faults.extend(sdk.map(|sdk| format!("{name} is pure but depends on {sdk}")));
    }
    for name in PROGRAMS {
        let below = graph.below(name)?;
        let wrong = PROGRAMS
            .iter()
            .filter(|other| **other != name)
            .chain(&["local", "xtask"])
            .filter(|other| below.contains(**other));
        faults.extend(wrong.map(|other| format!("{name} depends on {other}")));
    }
    if graph.below("local")?.contains("xtask") {
        faults.push("local depends on xtask".to_owned());
    }
    if faults.is_empty() {
        Ok(())
    } else {
        bail!("{}", faults.join("\n"))
    }
}

/// The dependencies of each package, tests left out.
struct Graph {
    edges: BTreeMap<String, Vec<String>>,
}

impl Graph {
    async fn of(repository: &Repository) -> Result<Self> {
        let mut cargo = Command::new("cargo");
        without_cargo_variables(&mut cargo)
            .current_dir(repository.root())
            .args(["metadata", "--format-version", "1"]);
        let output = cargo.output().await?;
        let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
        let packages = metadata["packages"].as_array().context("no packages")?;
        let name = |id: &Value| {
            packages
                .iter()
                .find(|package| package["id"] == *id)
                .and_then(|package| package["name"].as_str())
                .unwrap_or_default()
        };
        let mut edges = BTreeMap::new();
        for node in metadata["resolve"]["nodes"]
            .as_array()
            .context("no dependency graph")?
        {
            let normal = |dependency: &&Value| {
                dependency["dep_kinds"]
                    .as_array()
                    .is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"] != "dev"))
            };
            let below = node["deps"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(normal)
                .map(|dependency| name(&dependency["pkg"]).to_owned());
            edges.insert(name(&node["id"]).to_owned(), below.collect());
        }
        Ok(Self { edges })
    }

    fn below(&self, name: &str) -> Result<BTreeSet<&str>> {
        let mut found = BTreeSet::new();
        let mut next = vec![
            self.edges
                .get(name)
                .with_context(|| format!("no package {name}"))?,
        ];
        while let Some(dependencies) = next.pop() {
            for dependency in dependencies {
                if found.insert(dependency.as_str()) {
                    next.extend(self.edges.get(dependency));
                }
            }
        }
        Ok(found)
    }
}

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use local::{Repository, without_cargo_variables};
use tokio::process::Command;

const FUNCTIONS: [&str; 3] = ["start-crawler", "notify", "curate"];

/// The features with which a function compiles each package. A package that build scripts
/// use, too, may have two sets.
type Features = BTreeMap<String, BTreeSet<String>>;

/// Checks that the functions ask for the same features of every package that they share.
/// `sam build` compiles one function after the other. A package with other features, such
/// as one below TLS, is compiled again, and so is everything above it.
pub(crate) async fn check(repository: &Repository) -> Result<()> {
    let mut seen: BTreeMap<String, (&str, BTreeSet<String>)> = BTreeMap::new();
    let mut faults = Vec::new();
    for function in FUNCTIONS {
        for (package, features) in of(repository, function).await? {
            let (other, wanted) = seen
                .entry(package.clone())
                .or_insert_with(|| (function, features.clone()));
            if *wanted != features {
                faults.push(format!(
                    "{package} has the features {features:?} in {function}, and {wanted:?} in {other}"
                ));
            }
        }
    }
    ensure!(
        faults.is_empty(),
        "{}\nask for the same features in crates/function/Cargo.toml",
        faults.join("\n")
    );
    Ok(())
}

async fn of(repository: &Repository, function: &str) -> Result<Features> {
    let mut cargo = Command::new("cargo");
    without_cargo_variables(&mut cargo)
        .current_dir(repository.root())
        .args(["tree", "--edges", "normal,build", "--prefix", "none"])
        .args(["--format", "{p}|{f}", "--package", function]);
    let output = cargo.output().await?;
    ensure!(
        output.status.success(),
        "cargo tree: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut features = Features::new();
    for line in String::from_utf8(output.stdout)?.lines() {
        let line = line.strip_suffix(" (*)").unwrap_or(line);
        let (package, list) = line.split_once('|').context("cargo tree: no features")?;
        let features = features.entry(package.to_owned()).or_default();
        features.insert(list.to_owned());
    }
    Ok(features)
}

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use local::{Kafka, KafkaKind, Ministack, Processes, Repository, Tools};
use serde_json::Value;

use crate::replay::{FUNCTIONS, Replayed, Replayer, samples};
use crate::sample;
use crate::up::State;

/// Invokes both functions with every sample event through cargo-lambda, against a fresh
/// stack, and compares the answers with `events/expected/answers.json`: the message ids
/// that fail, or `"error"`, and the subjects of the mails.
pub(crate) async fn check(
    repository: &Repository,
    tools: &Tools,
    processes: &Processes,
    folder: &Path,
) -> Result<()> {
    let folder = folder.join("events");
    std::fs::create_dir_all(&folder)?;
    let path = repository.path("events/expected/answers.json");
    let expected: BTreeMap<String, BTreeMap<String, Value>> =
        serde_json::from_str(&std::fs::read_to_string(&path)?)
            .with_context(|| path.display().to_string())?;
    let ministack = Ministack::start(tools, processes, &folder).await?;
    let kafka = Kafka::start(KafkaKind::Mock, repository, processes, &folder).await?;
    let stack = sample::deploy(ministack, repository, tools, processes, &folder).await?;
    let replayer = Replayer::start(
        repository,
        tools,
        processes,
        &folder,
        &State::of(&stack, &kafka)?,
    )
    .await?;
    let mut faults = Vec::new();
    let files = samples(repository)?;
    ensure!(
        files.len() == expected.len(),
        "{} sample events, but {} expected answers in {}",
        files.len(),
        expected.len(),
        path.display()
    );
    for file in files {
        let name = file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        for function in FUNCTIONS {
            let wanted = expected
                .get(&name)
                .and_then(|functions| functions.get(function))
                .with_context(|| format!("no expected answer of {function} to {name}"))?;
            let got = answer(&replayer.invoke(function, &file).await?)?;
            println!("     {name} → {function}: {got}");
            if got != *wanted {
                faults.push(format!("{name} → {function}: wanted {wanted}, got {got}"));
            }
        }
    }
    if faults.is_empty() {
        Ok(())
    } else {
        bail!("{}", faults.join("\n"))
    }
}

fn answer(replayed: &Replayed) -> Result<Value> {
    let failed = match &replayed.answer {
        Ok(_) => {
            let mut failed = replayed.failed()?;
            failed.sort();
            failed.into()
        }
        Err(_) => Value::from("error"),
    };
    Ok(serde_json::json!({"failed": failed, "mails": replayed.mails.values().collect::<Vec<_>>()}))
}

//! `cargo xtask chaos`: real consumers, three real brokers, and S3 behind a faulty proxy.
//! A seed decides which of them are killed, stopped or cut off, and when. Some records
//! are in transactions, and retention takes some before they land. In the end, every
//! record that a broker acknowledged has to be in the lake once, or to be registered as
//! lost if retention took it. No record of an aborted transaction may be in the lake.

mod count;
mod plan;
mod poison;
mod producer;
mod registered;
mod retention;
mod run;
mod transactions;
mod verdict;

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use clap::Args;
use local::{Fault, Kafka, KafkaKind, Ministack, Processes, Repository, Tools};

use crate::prepare;
use crate::steps::Steps;
use plan::Plan;
use run::Outcome;

/// Options of `cargo xtask chaos`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// Number of runs
    #[arg(long, default_value_t = 10)]
    runs: u64,
    /// Seed of the first run; the next runs take the next seeds. To repeat a run, pass
    /// its seed and --runs 1
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Remove the condition from the consumers' PUTs, a defect that chaos has to find
    #[arg(long)]
    unconditional: bool,
}

pub(crate) async fn run(options: Options, processes: &Processes) -> Result<()> {
    let repository = &Repository::here();
    let folder = &prepare::run_folder(repository, &format!("chaos-{}", std::process::id()))?;
    let mut steps = Steps::new();
    KafkaKind::ApacheCluster.check()?;
    let tools = Tools::install(repository, processes).await?;
    steps
        .step("build", "cargo build of the consumer", async {
            prepare::agents(repository, processes, folder).await?;
            Ok(("tick-consumer".to_owned(), ()))
        })
        .await?;
    let ministack = Ministack::start(&tools, processes, folder).await?;
    let mut kafka = steps
        .step("kafka", "three brokers of Apache Kafka", async {
            let kafka =
                Kafka::start(KafkaKind::ApacheCluster, repository, processes, folder).await?;
            Ok((format!("{}, {}", kafka.describe(), kafka.brokers()), kafka))
        })
        .await?;
    let outcomes = runs(
        &options, repository, &ministack, &mut kafka, processes, folder, &mut steps,
    )
    .await?;
    let failed: Vec<u64> = outcomes
        .iter()
        .filter(|outcome| !outcome.is_whole())
        .map(|outcome| outcome.seed)
        .collect();
    let total = |figure: fn(&Outcome) -> u64| outcomes.iter().map(figure).sum::<u64>();
    let mut faults: BTreeMap<Fault, u64> = BTreeMap::new();
    outcomes
        .iter()
        .flat_map(|outcome| &outcome.faults)
        .for_each(|(fault, count)| *faults.entry(*fault).or_default() += count);
    let faults: Vec<String> = faults
        .iter()
        .map(|(fault, count)| format!("{count} {fault:?}"))
        .collect();
    println!("faults of S3: {}", faults.join(", "));
    println!(
        "{} runs: {} records acknowledged, {} lost, {} twice, \
         {} taken by retention and registered, {} aborted; {} events, \
         {} batches completed for another consumer, {} times a partition parked",
        outcomes.len(),
        wording::grouped(total(|outcome| outcome.acknowledged)),
        total(|outcome| outcome.verdict.lost),
        total(|outcome| outcome.verdict.twice),
        wording::grouped(total(|outcome| outcome.verdict.registered)),
        wording::grouped(total(|outcome| outcome.aborted)),
        total(|outcome| outcome.events),
        total(|outcome| outcome.completed),
        total(|outcome| outcome.parked),
    );
    if failed.is_empty() {
        Ok(())
    } else {
        bail!(
            "seeds of the failed runs: {failed:?}; the logs are in {}",
            folder.display()
        )
    }
}

async fn runs(
    options: &Options,
    repository: &Repository,
    ministack: &Ministack,
    kafka: &mut Kafka,
    processes: &Processes,
    folder: &std::path::Path,
    steps: &mut Steps,
) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for seed in options.seed..options.seed + options.runs {
        let plan = Plan::draw(seed);
        let doing = plan.describe();
        let outcome = steps
            .step(&format!("seed {seed}"), &doing, async {
                let outcome = run::run(
                    &plan,
                    options.unconditional,
                    repository,
                    ministack,
                    kafka,
                    processes,
                    folder,
                )
                .await?;
                Ok((outcome.describe(&doing), outcome))
            })
            .await?;
        outcome
            .problems
            .iter()
            .for_each(|problem| steps.detail(problem));
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

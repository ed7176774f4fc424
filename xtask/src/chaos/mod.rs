//! `cargo xtask chaos`: real consumers, three real brokers, and S3 behind a faulty proxy.
//! A seed decides which of them are killed, stopped or cut off, and when. Some records
//! are in transactions, and retention takes some before they land. In the end, every
//! record that a broker acknowledged has to be in the lake once, or to be registered as
//! lost if retention took it. No record of an aborted transaction may be in the lake. In
//! some runs the lake is curated meanwhile, and every tick has to be in a curated hour
//! once.

mod consumers;
mod count;
mod curating;
mod plan;
mod poison;
mod producer;
mod records;
mod registered;
mod retention;
mod run;
mod transactions;
mod verdict;

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use clap::Args;
use local::{Fault, Kafka, KafkaKind, Ministack, Processes, Workspace};

use crate::prepare;
use crate::steps::Steps;
use curating::Curated;
use plan::{Plan, Unconditional};
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
    /// Curate in every run; otherwise every fifth seed does
    #[arg(long)]
    curate: bool,
    /// Remove the condition from the PUTs of the consumers or of curate, a defect that
    /// chaos has to find
    #[arg(long, value_name = "WHO", num_args = 0..=1, default_missing_value = "consumers")]
    unconditional: Option<Unconditional>,
}

pub(crate) async fn run(options: Options, processes: &Processes) -> Result<()> {
    KafkaKind::ApacheCluster.check()?;
    let name = format!("chaos-{}", std::process::id());
    let workspace = &prepare::workspace(&name, processes).await?;
    let mut steps = Steps::new();
    steps
        .step("build", "cargo build of consumer and curate", async {
            let binaries = ["tick-consumer", "curate"];
            prepare::binaries(workspace, &binaries).await?;
            Ok((binaries.join(", "), ()))
        })
        .await?;
    let ministack = Ministack::start(workspace).await?;
    let mut kafka = steps
        .step("kafka", "three brokers of Apache Kafka", async {
            let kafka = Kafka::start(KafkaKind::ApacheCluster, workspace).await?;
            Ok((format!("{}, {}", kafka.describe(), kafka.brokers()), kafka))
        })
        .await?;
    let outcomes = runs(&options, workspace, &ministack, &mut kafka, &mut steps).await?;
    let failed: Vec<u64> = outcomes
        .iter()
        .filter(|outcome| !outcome.is_whole())
        .map(|outcome| outcome.seed)
        .collect();
    let total = |figure: fn(&Outcome) -> u64| outcomes.iter().map(figure).sum::<u64>();
    let faults = outcomes.iter().map(|outcome| &outcome.faults);
    println!("faults of S3: {}", in_words(faults));
    let curated: Vec<&Curated> = outcomes
        .iter()
        .filter_map(|outcome| outcome.curated.as_ref())
        .collect();
    if !curated.is_empty() {
        let faults = curated.iter().map(|curated| &curated.faults);
        println!("faults of S3, Glue and SQS of curate: {}", in_words(faults));
        let total = |figure: fn(&Curated) -> u64| {
            let figures = curated.iter().map(|curated| figure(curated));
            figures.sum::<u64>()
        };
        println!(
            "{} runs curated: {} versions committed, {} abandoned; {} processes killed",
            curated.len(),
            total(|curated| curated.versions.committed),
            total(|curated| curated.versions.abandoned),
            total(|curated| curated.killed),
        );
    }
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
            workspace.folder.display()
        )
    }
}

/// Returns the sum of each fault.
fn in_words<'a>(faults: impl Iterator<Item = &'a BTreeMap<Fault, u64>>) -> String {
    let mut sums: BTreeMap<Fault, u64> = BTreeMap::new();
    faults
        .flatten()
        .for_each(|(fault, count)| *sums.entry(*fault).or_default() += count);
    let sums: Vec<String> = sums
        .iter()
        .map(|(fault, count)| format!("{count} {fault:?}"))
        .collect();
    sums.join(", ")
}

async fn runs(
    options: &Options,
    workspace: &Workspace,
    ministack: &Ministack,
    kafka: &mut Kafka,
    steps: &mut Steps,
) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for seed in options.seed..options.seed + options.runs {
        let plan = Plan::draw(seed, options.curate);
        let doing = plan.describe();
        let outcome = steps
            .step(&format!("seed {seed}"), &doing, async {
                let unconditional = options.unconditional;
                let outcome = run::run(&plan, unconditional, workspace, ministack, kafka).await?;
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

use anyhow::{Context as _, Result, bail};
use curation::{Outcome, Plan, Reason, Task, worker};
use metrics::counter;
use tracing::info;
use worker::Step;

use crate::effects::Effects;
use crate::look;
use crate::unit::{self, Fault};

/// Steps of a task: work, commit, point, and a look at the catalog between them. More of
/// them are only due if other workers get in between.
const MAX_STEPS: usize = 16;

/// Carries out units of work.
#[derive(Debug)]
pub struct Worker<'a> {
    /// The lake and the catalog.
    pub effects: &'a Effects,
    /// Maximum number of rows of a unit.
    pub max_rows: u64,
}

impl Worker<'_> {
    /// Carries out the steps that are due for a task that SQS has delivered so many times.
    ///
    /// # Errors
    /// S3 or Glue does not answer, or the task is of no plan. The message comes back.
    pub async fn work(&self, task: &Task, receives: u32) -> Result<()> {
        let mut pointers = None;
        for _ in 0..MAX_STEPS {
            let view = look::for_worker(&self.effects.bucket, task, pointers).await?;
            let step = worker::next(&view, task, receives)?;
            let version = view.registers.version(task.version);
            let plan = &version.context("no such version")?.plan;
            match step {
                Step::Work { .. } => {
                    if let Err(reason) = self.make(plan, task.unit).await? {
                        self.abandon(plan, task.unit, reason).await?;
                    }
                }
                Step::Abandon(reason) => self.abandon(plan, task.unit, reason).await?,
                Step::Commit => {
                    self.effects.commit(plan).await?;
                }
                Step::LookAtCatalog => {
                    pointers = Some(self.effects.catalog.pointers_of_hour(task.hour).await?);
                }
                Step::Point(moves) => {
                    self.effects.point(task.hour, &moves).await?;
                    pointers = Some(self.effects.catalog.pointers_of_hour(task.hour).await?);
                }
                Step::Done => return Ok(()),
            }
        }
        bail!("no end after {MAX_STEPS} steps; the message comes back")
    }

    /// Gives a version up.
    async fn abandon(&self, plan: &Plan, unit: u32, reason: Reason) -> Result<()> {
        let outcome = Outcome::Abandoned { unit, reason };
        self.effects.decide(plan, &outcome).await?;
        Ok(())
    }

    /// Makes the outputs of a unit, or says why nobody can.
    async fn make(&self, plan: &Plan, unit: u32) -> Result<Result<(), Reason>> {
        let units = plan.units();
        let max_rows = self.max_rows;
        let of_unit = curated_files::Unit {
            units,
            unit,
            max_rows,
        };
        match unit::make(&self.effects.bucket, plan, of_unit).await {
            Ok(summary) => {
                counter!("UnitsDone").increment(1);
                counter!("CuratedTicks").increment(summary.ticks);
                info!(
                    event = "unit_done",
                    hour = %plan.hour(),
                    version = plan.version(),
                    unit,
                    units,
                    inputs = plan.inputs().len(),
                    ticks = summary.ticks,
                    symbols = summary.symbols,
                    bars = summary.bars,
                    "both files of the unit are created"
                );
                Ok(Ok(()))
            }
            Err(Fault::Hopeless(reason)) => Ok(Err(reason)),
            Err(Fault::Transient(error)) => Err(error),
        }
    }
}

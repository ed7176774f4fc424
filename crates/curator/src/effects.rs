//! The effects of the steps that [`curation`] decides. Each may come twice, and at the
//! same time as another worker's.

use anyhow::Result;
use curation::{Move, Outcome, OutputKey, Plan, Reason, Register, RegisterKey, Summary, Task};
use futures::{StreamExt as _, TryStreamExt as _};
use lake_layout::LakePartition;
use metrics::counter;
use tracing::{info, warn};

use crate::catalog::Catalog;
use crate::lake_bucket::{LakeBucket, Put};
use crate::look;

/// Outputs whose digests, and summaries, are read at a time.
const MAX_READS: usize = 8;

/// The lake and the catalog, and what is done there.
#[derive(Debug)]
pub struct Effects {
    /// The lake's bucket.
    pub bucket: LakeBucket,
    /// The curated tables.
    pub catalog: Catalog,
}

impl Effects {
    /// Creates a plan's register. Returns whether it is new.
    pub(crate) async fn create_plan(&self, plan: &Plan) -> Result<bool> {
        let key = plan.register(Register::Plan);
        let body = plan.to_json()?.into();
        let put = self.bucket.create(&key, body).await?;
        if put == Put::Created {
            counter!("HoursPlanned").increment(1);
            info!(
                event = "hour_planned",
                hour = %plan.hour(),
                version = plan.version(),
                base = plan.base().map(|base| base.version),
                units = plan.units(),
                inputs = plan.inputs().len(),
                "planned"
            );
        }
        Ok(put == Put::Created)
    }

    /// Registers that tasks of a version were sent for this time.
    ///
    /// # Errors
    /// S3 does not answer.
    pub async fn sent(&self, tasks: &[Task], number: u32) -> Result<()> {
        match tasks.first() {
            Some(task) => {
                let register = Register::Sent(number);
                self.mark(task.hour, task.version, register).await
            }
            None => Ok(()),
        }
    }

    /// Creates the outcome of a version whose outputs all exist: committed, if they were
    /// made by its plan. Returns whether it was committed now.
    pub(crate) async fn commit(&self, plan: &Plan) -> Result<bool> {
        let outcome = match self.foreign_output(plan).await? {
            None => match self.summary(plan).await? {
                Ok(summary) => Outcome::Committed {
                    base: plan.base().map(|base| base.version),
                    summary,
                },
                Err(unit) => Outcome::Abandoned {
                    unit,
                    reason: Reason::Missing {
                        key: plan.register(Register::Unit(unit)).to_string(),
                    },
                },
            },
            Some(output) => Outcome::Abandoned {
                unit: output.unit,
                reason: Reason::Unreadable {
                    key: output.to_string(),
                    problem: "another plan made it; was something below _curated/ deleted?"
                        .to_owned(),
                },
            },
        };
        Ok(self.decide(plan, &outcome).await? && outcome.is_committed())
    }

    /// Returns an output that does not carry the plan's digest.
    async fn foreign_output(&self, plan: &Plan) -> Result<Option<OutputKey>> {
        let digest = plan.digest();
        let reads = plan.outputs().map(|output| {
            let digest = &digest;
            async move { anyhow::Ok((output, self.bucket.has_digest(&output, digest).await?)) }
        });
        let mut reads = futures::stream::iter(reads).buffered(MAX_READS);
        while let Some((output, is_own)) = reads.try_next().await? {
            if !is_own {
                return Ok(Some(output));
            }
        }
        Ok(None)
    }

    /// Returns the figures of all units of a plan, or a unit whose register somebody has
    /// deleted.
    async fn summary(&self, plan: &Plan) -> Result<Result<Summary, u32>> {
        let reads = (0..plan.units()).map(|unit| async move {
            let key = plan.register(Register::Unit(unit));
            let body = self.bucket.get(&key.to_string()).await?;
            let summary = body.map(|body| Summary::from_json(&key, &body));
            anyhow::Ok(summary.transpose()?.ok_or(unit))
        });
        let mut reads = futures::stream::iter(reads).buffered(MAX_READS);
        let mut sum = Summary::default();
        while let Some(read) = reads.try_next().await? {
            match read {
                Ok(of_unit) => sum = sum.and(of_unit),
                Err(unit) => return Ok(Err(unit)),
            }
        }
        Ok(Ok(sum))
    }

    /// Creates the outcome of a version. If there is one already, it counts. Returns
    /// whether this one is new.
    pub(crate) async fn decide(&self, plan: &Plan, outcome: &Outcome) -> Result<bool> {
        let key = plan.register(Register::Outcome);
        let (hour, version) = (plan.hour(), plan.version());
        let body = outcome.to_json(&key)?.into();
        if self.bucket.create(&key, body).await? == Put::Exists {
            return Ok(false);
        }
        match outcome {
            Outcome::Committed { base, summary } => {
                counter!("HoursCommitted").increment(1);
                info!(
                    event = "hour_committed",
                    %hour,
                    version,
                    base,
                    ticks = summary.ticks,
                    symbols = summary.symbols,
                    bars = summary.bars,
                    "every file of the version exists"
                );
            }
            Outcome::Abandoned { unit, reason } => {
                counter!("HoursAbandoned", "Reason" => reason.name()).increment(1);
                warn!(
                    event = "hour_abandoned",
                    %hour,
                    version,
                    unit,
                    reason = reason.name(),
                    details = ?reason,
                    "the version is given up; the next look decides how the hour goes on"
                );
            }
        }
        Ok(true)
    }

    /// Changes the catalog.
    pub(crate) async fn point(&self, hour: LakePartition, moves: &[Move]) -> Result<()> {
        self.catalog.point(hour, moves).await?;
        for change in moves {
            info!(
                event = "pointer_set",
                %hour,
                table = change.table.name(),
                version = change.version,
                "the catalog names the version"
            );
        }
        Ok(())
    }

    /// Tags the outputs of a version that the catalog does not name any more.
    pub(crate) async fn retire(&self, hour: LakePartition, version: u32) -> Result<()> {
        for output in look::outputs(&self.bucket, hour, version).await? {
            self.bucket.tag_superseded(&output.to_string()).await?;
        }
        self.mark(hour, version, Register::Superseded).await
    }

    /// Creates a register of which only the presence counts.
    async fn mark(&self, hour: LakePartition, version: u32, register: Register) -> Result<()> {
        let key = RegisterKey {
            hour,
            version,
            register,
        };
        let body = curation::mark_json(&key)?.into();
        self.bucket.create(&key, body).await?;
        Ok(())
    }
}

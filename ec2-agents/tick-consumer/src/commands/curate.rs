//! Curates closed hours in this process, by the registers that the function `curate` has,
//! too: so both can work at the same time.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use anyhow::{Result, anyhow};
use clap::Args;
use curation::planner::Step;
use curation::{Period, Rules, Task};
use curator::{Effects, HandOver, MAX_ROWS, Planner, RETIRE_AFTER, Summary, Worker, look};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use wording::{count, grouped};

use crate::config::LakeSettings;
use crate::curated_lake::CuratedLake;

/// How long after its end, and after its newest raw object, an hour is closed. Closing
/// early costs work, never ticks.
const GRACE: Duration = Duration::from_secs(600);

/// Which hours to curate.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Curate {
    /// Hours from then on: a date, or a time such as 2026-11-21T05:00:00Z
    #[arg(long, value_name = "TIME|DATE", value_parser = Period::begin)]
    from: Timestamp,
    /// Hours before then, or up to the end of a date
    #[arg(long, value_name = "TIME|DATE", value_parser = Period::end)]
    to: Timestamp,
    /// Count every hour that begins before then as closed
    #[arg(long, value_name = "TIME|DATE", value_parser = Period::begin)]
    through: Option<Timestamp>,
    /// Try hours again that were given up three times
    #[arg(long)]
    force: bool,
    /// Most rows of a unit of work, some 100 bytes of memory each. An hour with more is
    /// cut into smaller units
    #[arg(long, value_name = "ROWS", default_value_t = MAX_ROWS)]
    max_unit_rows: u64,
}

/// Does the units of work here, one after the other.
struct InThisProcess<'a>(Worker<'a>);

impl HandOver for InThisProcess<'_> {
    /// Without a register that they were sent: a run that was cut off is repeated at
    /// once.
    async fn hand_over(&self, tasks: &[Task], _: u32) -> Result<()> {
        for task in tasks {
            self.0.work(task, 1).await?;
        }
        Ok(())
    }
}

/// Curates the hours, and prints a line about each. Returns whether every closed hour is
/// curated.
///
/// # Errors
/// S3 or Glue does not answer at the start.
pub(crate) async fn curate(
    lake: &LakeSettings,
    wanted: &Curate,
    shutdown: CancellationToken,
) -> Result<bool> {
    let period = Period::new(Some(wanted.from), Some(wanted.to))?;
    let CuratedLake { bucket, catalog } = CuratedLake::connect(lake).await?;
    let effects = Effects { bucket, catalog };
    let worker = Worker {
        effects: &effects,
        max_rows: wanted.max_unit_rows,
    };
    let planner = Planner {
        effects: &effects,
        rules: Rules {
            grace: GRACE,
            through: wanted.through,
            force: wanted.force,
            retire_after: RETIRE_AFTER,
        },
        units: &InThisProcess(worker),
    };
    let work = all_hours(&planner, period);
    tokio::select! {
        done = work => done,
        () = shutdown.cancelled() => Err(anyhow!(
            "ended by a signal; the same command goes on with the hours that are left"
        )),
    }
}

async fn all_hours(planner: &Planner<'_, InThisProcess<'_>>, period: Period) -> Result<bool> {
    let effects = planner.effects;
    let mut hours = look::hours(&effects.bucket, period).await?;
    // Oldest first, as a person reads them.
    hours.reverse();
    let plans = AtomicU64::new(u64::MAX);
    let (mut summary, mut failed) = (Summary::default(), 0);
    for hour in hours {
        let pointers = effects.catalog.pointers_of_hour(hour).await?;
        match planner.look_at(hour, Some(pointers), &plans).await {
            Ok(looked) => {
                println!("{hour}   {}", sentence(&looked.summary, &looked.end));
                summary.add(&looked.summary);
            }
            Err(error) => {
                println!("{hour}   failed: {error:#}");
                failed += 1;
            }
        }
    }
    println!("{}", total(&summary, failed));
    Ok(failed == 0 && summary.stuck == 0 && summary.working == 0)
}

/// Returns what was done for an hour, and how it is now.
fn sentence(summary: &Summary, end: &Step) -> String {
    let state = match end {
        Step::Curated if summary.committed + summary.planned > 0 => "curated".to_owned(),
        Step::Curated => "was curated before".to_owned(),
        Step::NotClosed(closes) => format!("not closed before {closes}"),
        Step::Stuck {
            version, reason, ..
        } => format!(
            "stuck at version {version}, {}: docs/runbook.md#an-hour-is-stuck, then --force",
            reason.name()
        ),
        Step::Working(version) => {
            format!("the function curate is at version {version}; run this again after it")
        }
        other => format!("{other:?}"),
    };
    match summary.units_sent {
        0 => state,
        units => format!("{state}, {}", count(units, "unit")),
    }
}

fn total(summary: &Summary, failed: u64) -> String {
    let mut states = vec![format!("{} curated", grouped(summary.curated))];
    for (hours, state) in [
        (summary.open, "not closed yet"),
        (summary.working, "being worked at"),
        (summary.stuck, "stuck"),
        (failed, "failed"),
    ] {
        if hours > 0 {
            states.push(format!("{} {state}", grouped(hours)));
        }
    }
    format!(
        "{}: {}",
        count(summary.hours + failed, "hour"),
        states.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_names_the_states_that_there_are() {
        let summary = Summary {
            hours: 3,
            curated: 2,
            stuck: 1,
            ..Summary::default()
        };
        assert_eq!(total(&summary, 0), "3 hours: 2 curated, 1 stuck");
        assert_eq!(total(&summary, 1), "4 hours: 2 curated, 1 stuck, 1 failed");
    }
}

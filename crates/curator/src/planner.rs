use std::future::Future;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use curation::planner::{self, Step};
use curation::{Closing, HourView, Pointers, Rules, Task};
use jiff::Timestamp;
use lake_layout::LakePartition;

use crate::effects::Effects;
use crate::look;
use crate::summary::Summary;

/// Steps of an hour in one look: plan, send, point and retire, several of them after an
/// outage.
const MAX_STEPS: usize = 64;

/// Takes over the units of a version that are to be done.
pub trait HandOver {
    /// Does the tasks, or sees to it that somebody does. `number` counts from 0 how often
    /// tasks of the version were handed over before.
    fn hand_over(&self, tasks: &[Task], number: u32) -> impl Future<Output = Result<()>>;
}

/// Brings hours forward.
#[derive(Debug)]
pub struct Planner<'a, H> {
    /// The lake and the catalog.
    pub effects: &'a Effects,
    /// When an hour is closed, and more.
    pub rules: Rules,
    /// Who does the units.
    pub units: &'a H,
}

/// The end of a look at an hour.
#[derive(Debug)]
pub struct Looked {
    /// What was done.
    pub summary: Summary,
    /// The step that was due at the end, and is not the planner's.
    pub end: Step,
    /// How long the hour has been closed and not curated.
    pub overdue: Duration,
}

impl<H: HandOver> Planner<'_, H> {
    /// Carries out the steps that are due for an hour, and plans if `plans` is not used
    /// up. Without pointers the catalog is left alone.
    ///
    /// # Errors
    /// S3 or Glue does not answer, or a register is unreadable.
    pub async fn look_at(
        &self,
        hour: LakePartition,
        mut pointers: Option<Pointers>,
        plans: &AtomicU64,
    ) -> Result<Looked> {
        let mut rules = self.rules;
        let mut summary = Summary {
            hours: 1,
            ..Summary::default()
        };
        for _ in 0..MAX_STEPS {
            let view = look::for_planner(&self.effects.bucket, hour, pointers).await?;
            let now = Timestamp::now();
            let step = planner::next(&view, &rules, now);
            if matches!(step, Step::CreatePlan(_)) && !take_one(plans) {
                summary.left += 1;
                return Ok(looked(summary, step, &view, &rules, now));
            }
            if step.is_done() {
                summary.end(hour, &step);
                return Ok(looked(summary, step, &view, &rules, now));
            }
            // A stuck hour gets one more version, however soon that one is abandoned.
            rules.force &= !matches!(step, Step::CreatePlan(_));
            self.carry_out(hour, &view, &step, &mut summary).await?;
            // No other step changes the catalog.
            if matches!(step, Step::Point(_)) {
                pointers = Some(self.effects.catalog.pointers_of_hour(hour).await?);
            }
        }
        bail!("no end after {MAX_STEPS} steps; the next look goes on")
    }

    /// Carries out a step, and counts it.
    async fn carry_out(
        &self,
        hour: LakePartition,
        view: &HourView,
        step: &Step,
        summary: &mut Summary,
    ) -> Result<()> {
        match step {
            Step::Point(moves) => self.effects.point(hour, moves).await?,
            Step::Retire(version) => self.effects.retire(hour, *version).await?,
            Step::CreatePlan(plan) => {
                summary.planned += u64::from(self.effects.create_plan(plan).await?);
            }
            Step::Send { tasks, number } => {
                self.units.hand_over(tasks, *number).await?;
                summary.units_sent += tasks.len() as u64;
            }
            Step::Commit(version) => {
                let version = view.registers.version(*version);
                let plan = &version.context("no such version")?.plan;
                summary.committed += u64::from(self.effects.commit(plan).await?);
            }
            Step::Working(_) | Step::NotClosed(_) | Step::Stuck { .. } | Step::Curated => {}
        }
        Ok(())
    }
}

/// Takes one of the plans that may still be made. Returns whether there was one.
fn take_one(plans: &AtomicU64) -> bool {
    let less = |left: u64| left.checked_sub(1);
    plans.fetch_update(Relaxed, Relaxed, less).is_ok()
}

fn looked(summary: Summary, end: Step, view: &HourView, rules: &Rules, now: Timestamp) -> Looked {
    let overdue = match view.closing(rules, now) {
        Some(Closing::Closed(since)) => now.duration_since(since).unsigned_abs(),
        _ => Duration::ZERO,
    };
    Looked {
        summary,
        end,
        overdue,
    }
}

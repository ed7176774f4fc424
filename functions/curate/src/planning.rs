use std::sync::atomic::AtomicU64;
use std::time::Duration;

use anyhow::{Result, anyhow};
use curation::{Period, Rules};
use curator::{Effects, Planner, Summary, look};
use function::Deadline;
use futures::StreamExt as _;
use jiff::Timestamp;
use lake_layout::LakePartition;
use metrics::histogram;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::event::PlanEvent;
use crate::queue::Queue;
use crate::settings::Settings;

/// Hours that are looked at at a time.
const MAX_HOURS: usize = 8;
/// Versions that one look plans. A backfill of a month, planned at once, would keep the
/// workers from the newest hours for a long time.
const MAX_PLANS: u64 = 48;
/// Time before the deadline at which no other hour is begun.
const MARGIN: Duration = Duration::from_secs(10);

/// Looks for closed hours.
pub(crate) struct Look<'a> {
    pub(crate) effects: &'a Effects,
    pub(crate) queue: &'a Queue,
    pub(crate) settings: &'a Settings,
}

impl Look<'_> {
    /// Looks at every hour in the range of the event, and carries out the steps that are due.
    ///
    /// # Errors
    /// Glue did not answer, or an hour could not be looked at. The other hours are done.
    pub(crate) async fn plan(&self, event: PlanEvent, deadline: Deadline) -> Result<Summary> {
        let now = Timestamp::now();
        let rules = Rules {
            grace: self.settings.grace,
            through: event.through,
            force: event.force,
            retire_after: self.settings.retire_after,
        };
        let is_of_look_back = event.is_of_look_back();
        let hours = self.hours(&event, now).await?;
        let mut faults = Vec::new();
        // Without the catalog, the work goes on, and the pointers are set later.
        let pointers = match self.effects.catalog.pointers(&hours).await {
            Ok(pointers) => pointers,
            Err(error) => {
                faults.push(error);
                [].into()
            }
        };
        let until = deadline.minus(MARGIN);
        let plans = AtomicU64::new(MAX_PLANS);
        let planner = Planner {
            effects: self.effects,
            rules,
            units: self.queue,
        };
        let looks = hours.iter().map(|hour| {
            let (planner, plans, pointers) = (&planner, &plans, pointers.get(hour).copied());
            async move {
                match Instant::now() < until {
                    true => (hour, Some(planner.look_at(*hour, pointers, plans).await)),
                    false => (hour, None),
                }
            }
        });
        let mut looks = futures::stream::iter(looks).buffer_unordered(MAX_HOURS);
        let mut summary = Summary::default();
        let mut overdue = Duration::ZERO;
        while let Some((hour, looked)) = looks.next().await {
            match looked {
                Some(Ok(looked)) => {
                    overdue = overdue.max(looked.overdue);
                    summary.add(&looked.summary);
                }
                Some(Err(error)) => {
                    overdue = overdue.max(overdue_unseen(*hour, &rules, now));
                    let problem = format!("{error:#}");
                    warn!(event = "look_failed", %hour, error = problem, "tried again next time");
                    faults.push(error.context(hour.to_string()));
                }
                None => {
                    overdue = overdue.max(overdue_unseen(*hour, &rules, now));
                    summary.left += 1;
                }
            }
        }
        info!(
            event = "look_done",
            hours = summary.hours,
            planned = summary.planned,
            units_sent = summary.units_sent,
            committed = summary.committed,
            working = summary.working,
            open = summary.open,
            curated = summary.curated,
            stuck = summary.stuck,
            left = summary.left,
            failed = faults.len(),
            overdue_seconds = overdue.as_secs(),
            "looked for closed hours"
        );
        // The alarms are about the look-back: a backfill begins with old hours.
        if is_of_look_back {
            histogram!("HoursStuck").record(summary.stuck as f64);
            histogram!("OldestUncuratedSeconds").record(overdue.as_secs_f64());
        }
        match faults.len() {
            0 => Ok(summary),
            count => Err(anyhow!("{:#} ({count} in all)", faults.remove(0))),
        }
    }

    /// Returns the hours in the range of the event, or of the look-back.
    async fn hours(&self, event: &PlanEvent, now: Timestamp) -> Result<Vec<LakePartition>> {
        let look_back = event.days.map_or(self.settings.look_back, |days| {
            Duration::from_secs(24 * 3_600 * u64::from(days))
        });
        let from = match event.from {
            Some(from) => from,
            None => now.checked_sub(look_back)?,
        };
        let period = Period::new(Some(from), event.to)?;
        look::hours(&self.effects.bucket, period).await
    }
}

/// Returns how long an hour that could not be looked at may have been closed.
fn overdue_unseen(hour: LakePartition, rules: &Rules, now: Timestamp) -> Duration {
    let closed = curation::bounds(hour).and_then(|(_, end)| end.checked_add(rules.grace).ok());
    let overdue = closed.map(|closed| now.duration_since(closed));
    overdue
        .and_then(|overdue| overdue.try_into().ok())
        .unwrap_or_default()
}

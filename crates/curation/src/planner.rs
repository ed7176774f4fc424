//! The next step for an hour.

use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;

use crate::view::{HourView, RawObject};
use crate::{Base, Closing, Move, Outcome, Plan, Reason, Rules, Task, Version, units};

/// Tasks are sent again if outputs are absent so long after they were sent. The queue has
/// handed each of them over three times by then, so they are lost, or a backlog waits.
pub const SEND_AGAIN_AFTER: Duration = Duration::from_secs(2 * 3_600);
/// After so many abandoned versions in a row, all with the same raw objects, nothing is
/// planned until the raw objects change, or the plan's event forces it. If workers did not
/// finish, S3 or Glue may have been away: one more version is planned after
/// [`SEND_AGAIN_AFTER`].
pub const MAX_ABANDONED: usize = 3;

/// The next step of a planner. After it the caller looks again, if [`Step::is_done`] is
/// false.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// Change the catalog.
    Point(Vec<Move>),
    /// Tag all outputs of this version, those that exist, and create its register
    /// `Superseded`.
    Retire(u32),
    /// Create this plan's register.
    CreatePlan(Plan),
    /// Send these tasks, and create the version's register `Sent`.
    Send {
        /// The tasks.
        tasks: Vec<Task>,
        /// How often tasks of the version were sent before: the register's number.
        number: u32,
    },
    /// Create the outcome of this version: committed. All outputs of both tables were seen.
    Commit(u32),
    /// Workers are at this version.
    Working(u32),
    /// Raw objects wait until the hour closes.
    NotClosed(Timestamp),
    /// Nothing is planned, see [`MAX_ABANDONED`].
    Stuck {
        /// The newest abandoned version.
        version: u32,
        /// Its unit that could not be done.
        unit: u32,
        /// Why.
        reason: Reason,
    },
    /// The newest version has every raw object.
    Curated,
}

impl Step {
    /// Returns whether nothing more is due now.
    pub fn is_done(&self) -> bool {
        match self {
            Self::Point(_)
            | Self::Retire(_)
            | Self::CreatePlan(_)
            | Self::Send { .. }
            | Self::Commit(_) => false,
            Self::Working(_) | Self::NotClosed(_) | Self::Stuck { .. } | Self::Curated => true,
        }
    }
}

/// Returns the next step of an hour.
pub fn next(view: &HourView, rules: &Rules, now: Timestamp) -> Step {
    if let Some(step) = publish(view, rules, now) {
        return step;
    }
    match view.registers.newest() {
        Some(version) if version.outcome.is_none() => go_on(view, version, now),
        _ => plan(view, rules, now),
    }
}

/// Brings the catalog to the newest committed version, then retires the others.
fn publish(view: &HourView, rules: &Rules, now: Timestamp) -> Option<Step> {
    let newest = view.registers.committed()?;
    let committed = newest.plan.version();
    let moves = view.pointers?.moves_to(committed);
    if !moves.is_empty() {
        return Some(Step::Point(moves));
    }
    if !is_past(newest.decided?, rules.retire_after, now) {
        return None;
    }
    let mut before = view.registers.versions().iter().map_while(|version| {
        let number = version.plan.version();
        (number < committed).then_some((number, version.is_superseded))
    });
    before
        .find(|(_, is_superseded)| !is_superseded)
        .map(|(number, _)| Step::Retire(number))
}

/// Carries on with a version that has no outcome.
fn go_on(view: &HourView, version: &Version, now: Timestamp) -> Step {
    let plan = &version.plan;
    let open = view.open_units(plan);
    if open.is_empty() {
        return Step::Commit(plan.version());
    }
    match version.sent.last() {
        Some(sent) if !is_past(*sent, SEND_AGAIN_AFTER, now) => Step::Working(plan.version()),
        _ => Step::Send {
            tasks: open.into_iter().map(|unit| plan.task(unit)).collect(),
            number: u32::try_from(version.sent.len()).unwrap_or(u32::MAX),
        },
    }
}

fn is_past(time: Timestamp, wait: Duration, now: Timestamp) -> bool {
    time.checked_add(wait).is_ok_and(|due| due <= now)
}

/// Plans the version after the newest, if raw objects and the clock ask for it.
fn plan(view: &HourView, rules: &Rules, now: Timestamp) -> Step {
    match view.closing(rules, now) {
        None => return all_planned(view),
        Some(Closing::Open(closes)) => return Step::NotClosed(closes),
        Some(Closing::Closed(_)) => {}
    }
    let uncovered = view.uncovered();
    let attempts = attempts(view, &uncovered);
    if attempts >= MAX_ABANDONED && !rules.force && !may_heal(view, now) {
        return stuck(view).unwrap_or(Step::Curated);
    }
    let bytes = uncovered.iter().map(|raw| raw.bytes).sum();
    let newest = view.registers.newest();
    let units = newest.map_or(0, |newest| units_after(newest, attempts));
    let base = view.registers.committed().map(|version| Base {
        version: version.plan.version(),
        units: version.plan.units(),
    });
    let number = newest.map_or(0, |newest| newest.plan.version() + 1);
    let inputs = uncovered.into_iter().map(|raw| raw.key.clone());
    let units = units::for_bytes(bytes).max(units);
    Step::CreatePlan(Plan::new(view.hour, number, base, units, inputs.collect()))
}

/// Returns the step of an hour that has no raw object to add. If no version of it was ever
/// committed, its raw objects are gone.
fn all_planned(view: &HourView) -> Step {
    match view.registers.committed() {
        Some(_) => Step::Curated,
        None => stuck(view).unwrap_or(Step::Curated),
    }
}

/// Returns the smallest number of units after a version. It never falls: a unit's symbols
/// are then in one part of the base.
fn units_after(newest: &Version, attempts: usize) -> u32 {
    let before = newest.plan.units();
    match &newest.outcome {
        Some(Outcome::Abandoned { reason, .. }) => match reason {
            Reason::TooLarge { .. } => units::smaller_than(before),
            // If smaller units have not helped, S3 or Glue may be away.
            Reason::Unfinished if attempts < MAX_ABANDONED => units::smaller_than(before),
            _ => before,
        },
        _ => before,
    }
}

/// Returns how many of the newest versions were abandoned with these raw objects.
fn attempts(view: &HourView, uncovered: &[&RawObject]) -> usize {
    let inputs: HashSet<_> = uncovered.iter().map(|raw| &raw.key).collect();
    let is_same = |version: &&Version| {
        let before = version.plan.inputs();
        let is_abandoned = matches!(version.outcome, Some(Outcome::Abandoned { .. }));
        is_abandoned
            && before.len() == inputs.len()
            && before.iter().all(|key| inputs.contains(key))
    };
    let versions = view.registers.versions().iter().rev();
    versions.take_while(is_same).count()
}

/// Returns whether the newest version was given up by workers that did not finish, some
/// time ago.
fn may_heal(view: &HourView, now: Timestamp) -> bool {
    view.registers.newest().is_some_and(|newest| {
        let decided = newest.decided;
        let reason = newest.outcome.as_ref().and_then(Outcome::reason);
        reason == Some(&Reason::Unfinished)
            && decided.is_some_and(|decided| is_past(decided, SEND_AGAIN_AFTER, now))
    })
}

/// Returns the step of an hour that nobody can go on with.
fn stuck(view: &HourView) -> Option<Step> {
    let newest = view.registers.newest()?;
    match newest.outcome.clone()? {
        Outcome::Abandoned { unit, reason } => Some(Step::Stuck {
            version: newest.plan.version(),
            unit,
            reason,
        }),
        Outcome::Committed { .. } => None,
    }
}

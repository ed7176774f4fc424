//! The next step for a task of the work queue.

use lake_layout::ObjectKey;

use crate::view::HourView;
use crate::{Move, OutputKey, Reason, Task};

/// A task that comes for the third time is given up: two workers have run out of time or
/// memory.
pub const MAX_RECEIVES: u32 = 3;

/// The next step of a worker. After it the caller looks again, if it is not
/// [`Step::Done`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// Read the inputs and create the outputs. If that cannot be done, create the outcome
    /// abandoned with its [`Reason`].
    Work {
        /// The raw objects to read.
        inputs: Vec<ObjectKey>,
        /// The part of the base to read.
        base: Option<OutputKey>,
        /// The outputs to create, ticks and bars.
        outputs: [OutputKey; 2],
    },
    /// Create the outcome of the task's version: abandoned.
    Abandon(Reason),
    /// Create the outcome of the task's version: committed. All outputs of both tables were
    /// seen.
    Commit,
    /// Ask the catalog for the pointers, and ask again for the next step.
    LookAtCatalog,
    /// Change the catalog.
    Point(Vec<Move>),
    /// Nothing is left to do.
    Done,
}

/// The reason why nothing can be done for a task.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TaskFault {
    /// There is no plan of its version.
    #[error("task of {hour}, version {version}: no such plan; was the message written by hand?")]
    NoPlan {
        /// The hour.
        hour: lake_layout::LakePartition,
        /// The version.
        version: u32,
    },
    /// The plan has no such unit.
    #[error(
        "task of {hour}, version {version}: unit {unit}, but the plan has only {units} units, \
         from 0 on; was the message written by hand?"
    )]
    NoUnit {
        /// The hour.
        hour: lake_layout::LakePartition,
        /// The version.
        version: u32,
        /// The unit of the task.
        unit: u32,
        /// The units of the plan.
        units: u32,
    },
}

/// Returns the next step of a task that was received so many times.
///
/// # Errors
/// The task is of no plan.
pub fn next(view: &HourView, task: &Task, receives: u32) -> Result<Step, TaskFault> {
    let Task {
        hour,
        version,
        unit,
    } = *task;
    let Some(own) = view.registers.version(version) else {
        return Err(TaskFault::NoPlan { hour, version });
    };
    let plan = &own.plan;
    if unit >= plan.units() {
        return Err(TaskFault::NoUnit {
            hour,
            version,
            unit,
            units: plan.units(),
        });
    }
    Ok(if own.outcome.is_some() {
        publish(view)
    } else if view.open_units(plan).is_empty() {
        Step::Commit
    } else if view.has_outputs(plan, unit) {
        Step::Done
    } else if receives >= MAX_RECEIVES {
        Step::Abandon(Reason::Unfinished)
    } else {
        Step::Work {
            inputs: plan.inputs().to_vec(),
            base: plan.base_part(unit),
            outputs: plan.outputs_of(unit),
        }
    })
}

/// Brings the catalog to the newest committed version.
fn publish(view: &HourView) -> Step {
    let Some(committed) = view.registers.committed() else {
        return Step::Done;
    };
    match view
        .pointers
        .map(|pointers| pointers.moves_to(committed.plan.version()))
    {
        None => Step::LookAtCatalog,
        Some(moves) if moves.is_empty() => Step::Done,
        Some(moves) => Step::Point(moves),
    }
}

use std::collections::BTreeSet;

use jiff::Timestamp;
use lake_layout::{LakePartition, ObjectKey};

use crate::{Closing, OutputKey, Plan, Pointers, Registers, Rules};

/// A raw object as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RawObject {
    /// Its key.
    pub key: ObjectKey,
    /// Its size.
    pub bytes: u64,
    /// When it landed.
    pub created: Timestamp,
}

/// One hour, as a look at S3 and Glue shows it. Everything but the registers may be stale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HourView {
    /// The lake partition: an hour, or a day of a lake with daily partitions.
    pub hour: LakePartition,
    /// The catalog's partitions; `None` if nobody has asked, or Glue did not answer.
    pub pointers: Option<Pointers>,
    /// The raw data objects of the hour. A worker needs none.
    pub raw: Vec<RawObject>,
    /// The registers.
    pub registers: Registers,
    /// The outputs that exist: for a planner those of the newest version, for a worker
    /// those of its task's version.
    pub outputs: BTreeSet<OutputKey>,
}

impl HourView {
    /// Returns the raw objects that the newest committed version does not have.
    pub fn uncovered(&self) -> Vec<&RawObject> {
        let covered = self.registers.covered();
        let is_new = |raw: &&RawObject| !covered.contains(&raw.key);
        self.raw.iter().filter(is_new).collect()
    }

    /// Returns whether the hour is closed, and since when; `None` if it lacks nothing.
    pub fn closing(&self, rules: &Rules, now: Timestamp) -> Option<Closing> {
        let uncovered = self.uncovered();
        let created = uncovered.iter().map(|raw| raw.created);
        rules.closing(self.hour, created, now)
    }

    /// Returns the units of a plan that lack an output.
    pub(crate) fn open_units(&self, plan: &Plan) -> Vec<u32> {
        (0..plan.units())
            .filter(|unit| !self.has_outputs(plan, *unit))
            .collect()
    }

    /// Returns whether both outputs of a unit exist.
    pub(crate) fn has_outputs(&self, plan: &Plan, unit: u32) -> bool {
        let outputs = plan.outputs_of(unit);
        outputs.iter().all(|output| self.outputs.contains(output))
    }
}

use curation::planner::Step;
use lake_layout::LakePartition;
use serde::Serialize;
use tracing::warn;

/// The answer to a plan event: how many hours were looked at, and their state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Hours that were looked at.
    pub hours: u64,
    /// Versions that were planned.
    pub planned: u64,
    /// Units of work that were sent.
    pub units_sent: u64,
    /// Versions whose outcome the look created: committed.
    pub committed: u64,
    /// Hours at which workers are.
    pub working: u64,
    /// Hours that are not closed yet.
    pub open: u64,
    /// Hours of which the newest version has every raw object.
    pub curated: u64,
    /// Hours that are not planned again, as they were abandoned too often.
    pub stuck: u64,
    /// Hours that are left for the next look: there was no time, or enough was planned.
    pub left: u64,
}

impl Summary {
    /// Counts an hour by the step at which a look ended.
    pub(crate) fn end(&mut self, hour: LakePartition, step: &Step) {
        match step {
            Step::NotClosed(_) => self.open += 1,
            Step::Curated => self.curated += 1,
            Step::Stuck {
                version,
                unit,
                reason,
            } => {
                self.stuck += 1;
                warn!(
                    event = "hour_stuck",
                    %hour,
                    version,
                    unit,
                    ?reason,
                    "the hour stays as it is until its files change, or a plan event says force"
                );
            }
            _ => self.working += 1,
        }
    }

    /// Adds the counts of an hour.
    pub fn add(&mut self, of_hour: &Self) {
        self.hours += of_hour.hours;
        self.planned += of_hour.planned;
        self.units_sent += of_hour.units_sent;
        self.committed += of_hour.committed;
        self.working += of_hour.working;
        self.open += of_hour.open;
        self.curated += of_hour.curated;
        self.stuck += of_hour.stuck;
        self.left += of_hour.left;
    }
}

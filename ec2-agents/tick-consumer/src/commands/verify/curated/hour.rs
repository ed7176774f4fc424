use std::collections::BTreeSet;

use anyhow::Result;
use curated_audit::Faults;
use curation::{Outcome, Pointer, Pointers, Registers, Table};
use curator::{LakeBucket, look};
use lake::LakePartition;

use super::version::{self, Figures};
use crate::curated_lake::{HourObjects, Listing};

/// The findings about an hour.
pub(super) struct HourReport {
    pub(super) hour: LakePartition,
    pub(super) pointers: Pointers,
    /// Those of the version that the catalog names for ticks.
    pub(super) figures: Figures,
    /// Raw objects that this version does not have.
    pub(super) not_curated: u64,
    pub(super) faults: Faults,
    /// What the next look of `curate` mends.
    pub(super) notes: Vec<String>,
    /// Number and bytes of the files of abandoned versions.
    pub(super) leftovers: (u64, u64),
}

impl HourReport {
    /// Compares the versions that the catalog names for an hour. Returns `None` if the
    /// hour has nothing to compare or to curate.
    pub(super) async fn of(
        bucket: &LakeBucket,
        listing: &Listing,
        hour: LakePartition,
        pointers: Pointers,
    ) -> Result<Option<Self>> {
        let raw = look::raw_objects(bucket, hour).await?;
        let objects = HourObjects::of(bucket, listing, hour).await?;
        let mut report = Self {
            hour,
            pointers,
            figures: Figures::default(),
            not_curated: 0,
            faults: objects.faults.clone(),
            notes: Vec::new(),
            leftovers: objects.leftovers,
        };
        let Some(registers) = &objects.registers else {
            return Ok(Some(report));
        };
        let named = report.named(registers);
        let ticks = match pointers.ticks {
            Pointer::Version(version) => Some(version),
            Pointer::Absent | Pointer::Elsewhere => None,
        };
        for version in named {
            let Some(of_version) = registers.version(version) else {
                continue;
            };
            let inputs = registers.inputs_of(version);
            let compared =
                version::compare(bucket, of_version, &inputs, &objects, &mut report.faults);
            let figures = compared.await?;
            if Some(version) == ticks {
                report.figures = figures;
            }
        }
        let covered = ticks.map(|version| registers.inputs_of(version));
        let is_new = |key| {
            covered
                .as_ref()
                .is_none_or(|covered| !covered.contains(key))
        };
        report.not_curated = raw.iter().filter(|raw| is_new(&raw.key)).count() as u64;
        let is_empty = pointers == Pointers::ABSENT && raw.is_empty() && report.faults.count() == 0;
        Ok((!is_empty).then_some(report))
    }

    /// Returns the versions to compare: those that the catalog names, if they are
    /// committed.
    fn named(&mut self, registers: &Registers) -> BTreeSet<u32> {
        let Self {
            hour,
            pointers: Pointers { ticks, bars },
            ..
        } = *self;
        let newest = registers.committed().map(|version| version.plan.version());
        let mut named = BTreeSet::new();
        for (table, pointer) in [(Table::Ticks, ticks), (Table::Bars, bars)] {
            match pointer {
                Pointer::Version(version) => {
                    if self.is_committed(table, registers, version) {
                        named.insert(version);
                    }
                    if newest.is_some_and(|newest| version < newest) {
                        self.notes.push(format!(
                            "{hour}: the catalog names version {version} in {}, an older one",
                            table.name()
                        ));
                    }
                }
                Pointer::Elsewhere => self.faults.add(
                    format_args!("{hour} in table {}", table.name()),
                    "the catalog's partition has a location that is none of a version's: look \
                     for the program that set it; the next look of curate sets it right",
                ),
                Pointer::Absent => {
                    if let Some(newest) = newest {
                        self.notes.push(format!(
                            "{hour}: version {newest} is committed, and the catalog has no \
                             partition of it in {}",
                            table.name()
                        ));
                    }
                }
            }
        }
        named
    }

    fn is_committed(&mut self, table: Table, registers: &Registers, version: u32) -> bool {
        let problem = match registers.version(version).map(|version| &version.outcome) {
            Some(Some(Outcome::Committed { .. })) => return true,
            Some(Some(Outcome::Abandoned { .. })) => "which was abandoned",
            Some(None) => "which is not committed",
            None => "which has no plan",
        };
        self.faults.add(
            table.version_prefix(self.hour, version),
            format_args!(
                "the catalog names version {version} in {}, {problem}: look for the program that \
                 set it; the next look of curate sets it right",
                table.name()
            ),
        );
        false
    }
}

use std::collections::BTreeMap;

use anyhow::Result;
use curated_audit::Faults;
use curation::{
    Outcome, OutputKey, Plan, Register, RegisterError, RegisterKey, Registers, Version,
};
use curator::{LakeBucket, look};
use lake::LakePartition;

use super::listing::Listing;

/// The registers and files of an hour.
#[derive(Debug)]
pub(crate) struct HourObjects {
    /// `None` if one of them cannot be read; [`HourObjects::faults`] says why.
    pub(crate) registers: Option<Registers>,
    outputs: BTreeMap<OutputKey, u64>,
    /// What contradicts the registers.
    pub(crate) faults: Faults,
    /// Number and bytes of the files of abandoned versions. Nobody reads them.
    pub(crate) leftovers: (u64, u64),
}

impl HourObjects {
    /// Reads the registers of an hour and compares its files with them.
    ///
    /// # Errors
    /// S3 does not answer.
    pub(crate) async fn of(
        bucket: &LakeBucket,
        listing: &Listing,
        hour: LakePartition,
    ) -> Result<Self> {
        let mut objects = Self {
            registers: None,
            outputs: listing.outputs(hour),
            faults: Faults::default(),
            leftovers: (0, 0),
        };
        let registers = match look::registers(bucket, hour).await {
            Ok(registers) => registers,
            Err(error) => match error.downcast::<RegisterError>() {
                Ok(error) => {
                    let place = RegisterKey::prefix(hour);
                    objects
                        .faults
                        .add(place, format_args!("{error}; restore it"));
                    return Ok(objects);
                }
                Err(error) => return Err(error),
            },
        };
        for version in registers.versions() {
            objects.complete(bucket, version).await?;
        }
        objects.judge(&registers);
        objects.registers = Some(registers);
        Ok(objects)
    }

    /// A version may have been committed since the listing.
    async fn complete(&mut self, bucket: &LakeBucket, version: &Version) -> Result<()> {
        let plan = &version.plan;
        if self.missing(plan).is_empty() {
            return Ok(());
        }
        for key in look::outputs(bucket, plan.hour(), plan.version()).await? {
            self.outputs.entry(key).or_default();
        }
        Ok(())
    }

    fn judge(&mut self, registers: &Registers) {
        for (key, bytes) in &self.outputs {
            let of = registers.version(key.version);
            match of.map(|version| (version.plan.units(), &version.outcome)) {
                None => self.faults.add(
                    key,
                    format_args!(
                        "it has no plan, which is created before any file: restore {}, or move \
                         the file away",
                        register(key, Register::Plan)
                    ),
                ),
                Some((units, _)) if key.unit >= units => self.faults.add(
                    key,
                    format_args!("its plan has only {units} units, from 0 on: move the file away"),
                ),
                Some((_, Some(Outcome::Abandoned { .. }))) => {
                    self.leftovers.0 += 1;
                    self.leftovers.1 += bytes;
                }
                Some(_) => {}
            }
        }
        let committed = registers.versions().iter().filter(|version| {
            // The files of a superseded version expire.
            let is_committed = version.outcome.as_ref().is_some_and(Outcome::is_committed);
            is_committed && !version.is_superseded
        });
        for version in committed {
            for key in self.missing(&version.plan) {
                self.faults.add(
                    key,
                    format_args!(
                        "it is missing, and version {} is committed: restore it",
                        key.version
                    ),
                );
            }
        }
    }

    /// Returns the files of a plan that do not exist.
    pub(crate) fn missing(&self, plan: &Plan) -> Vec<OutputKey> {
        let outputs = plan.outputs();
        outputs
            .filter(|output| !self.outputs.contains_key(output))
            .collect()
    }
}

fn register(output: &OutputKey, register: Register) -> RegisterKey {
    RegisterKey {
        hour: output.hour,
        version: output.version,
        register,
    }
}

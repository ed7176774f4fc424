use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use curated_audit::Faults;
use curation::{OutputKey, RegisterKey, Table};
use curator::{LakeBucket, Listed};
use jiff::Timestamp;
use lake::LakePartition;

/// The files and registers of curated hours.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    hours: BTreeMap<LakePartition, OfHour>,
    /// Keys that are none of ticklake's.
    pub(crate) strangers: Faults,
}

#[derive(Debug, Default)]
struct OfHour {
    outputs: BTreeMap<OutputKey, u64>,
    newest: Option<Timestamp>,
}

impl Listing {
    /// Lists files, and then registers: so each file's plan is seen.
    ///
    /// # Errors
    /// S3 does not answer.
    pub(crate) async fn of(bucket: &LakeBucket) -> Result<Self> {
        let mut listing = Self::default();
        for table in Table::ALL {
            for object in bucket.list(table.prefix()).await? {
                match OutputKey::parse(&object.key) {
                    Some(key) => {
                        let of_hour = listing.see(key.hour, &object);
                        of_hour.outputs.insert(key, object.bytes);
                    }
                    None => listing.stranger(
                        &object,
                        "another program wrote it, and queries read it if it lies in the folder \
                         that the catalog names: move it away",
                    ),
                }
            }
        }
        for object in bucket.list(RegisterKey::ROOT).await? {
            match RegisterKey::parse(&object.key) {
                Some(key) => {
                    listing.see(key.hour, &object);
                }
                None => listing.stranger(
                    &object,
                    "another program wrote it: its key is not a register's; move it away",
                ),
            }
        }
        Ok(listing)
    }

    fn see(&mut self, hour: LakePartition, object: &Listed) -> &mut OfHour {
        let of_hour = self.hours.entry(hour).or_default();
        of_hour.newest = of_hour.newest.max(Some(object.modified));
        of_hour
    }

    /// Queries skip names that begin with `_` or `.`, and the folders that a console
    /// creates.
    fn stranger(&mut self, object: &Listed, problem: &str) {
        let name = object.key.rsplit('/').next().unwrap_or_default();
        if !name.is_empty() && !name.starts_with(['_', '.']) {
            self.strangers.add(&object.key, problem);
        }
    }

    /// Returns the hours.
    pub(crate) fn hours(&self) -> BTreeSet<LakePartition> {
        self.hours.keys().copied().collect()
    }

    /// Returns the hours to which something was added since then.
    pub(crate) fn hours_since(&self, since: Timestamp) -> BTreeSet<LakePartition> {
        let hours = self.hours.iter();
        let is_newer = |of_hour: &OfHour| of_hour.newest >= Some(since);
        hours
            .filter_map(|(hour, of_hour)| is_newer(of_hour).then_some(*hour))
            .collect()
    }

    /// Returns an hour's files with their sizes.
    pub(super) fn outputs(&self, hour: LakePartition) -> BTreeMap<OutputKey, u64> {
        let of_hour = self.hours.get(&hour);
        of_hour
            .map(|of_hour| of_hour.outputs.clone())
            .unwrap_or_default()
    }
}

//! Proves the curated hours (G11, G12) against the raw objects, from the catalog on.
//! Reads only. Works hour by hour and unit by unit, so memory does not grow with the
//! lake.

mod hour;
mod report;
mod version;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use curation::{Period, Pointers};
use lake::LakePartition;

use crate::curated_lake::{CuratedLake, Listing};
use hour::HourReport;
pub(crate) use report::CuratedReport;

/// Time between two lines on how far the walk has come.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);

/// Compares each hour of a period that the catalog names with its raw objects.
///
/// # Errors
/// S3 or Glue does not answer.
pub(crate) async fn prove(lake: &CuratedLake, period: Period) -> Result<CuratedReport> {
    // Pointers come before registers: then none of them is newer than the registers.
    let pointers: BTreeMap<LakePartition, Pointers> = lake.catalog.all_pointers().await?;
    let listing = Listing::of(&lake.bucket).await?;
    let mut hours = listing.hours();
    hours.extend(pointers.keys());
    hours.extend(curator::look::hours(&lake.bucket, period).await?);
    hours.retain(|hour| period.has(*hour));
    let mut reports = Vec::new();
    let mut shown = Instant::now();
    let all = hours.len();
    for hour in hours {
        let pointers = *pointers.get(&hour).unwrap_or(&Pointers::ABSENT);
        let report = HourReport::of(&lake.bucket, &listing, hour, pointers).await?;
        reports.extend(report);
        if shown.elapsed() >= PROGRESS_INTERVAL {
            shown = Instant::now();
            eprintln!("… {} of {all} hours compared, up to {hour}", reports.len());
        }
    }
    Ok(CuratedReport {
        hours: reports,
        strangers: listing.strangers,
    })
}

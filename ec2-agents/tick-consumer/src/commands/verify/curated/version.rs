use std::collections::HashSet;

use anyhow::Result;
use bytes::Bytes;
use curated_audit::{Comparison, Faults, OffsetRange, Search};
use curation::{OutputKey, Plan, Table, Version};
use curator::LakeBucket;
use futures::StreamExt as _;
use lake::ObjectKey;

use crate::curated_lake::HourObjects;

/// Objects that are read at the same time, each of which is held in memory whole.
const MAX_CONCURRENT_READS: usize = 4;
/// Offset ranges whose rows are compared one by one: each takes every part again.
const MAX_SEARCHES: usize = 4;

/// What was compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Figures {
    pub(super) ticks: u64,
    pub(super) bars: u64,
    pub(super) files: u64,
    /// Raw objects that the version has.
    pub(super) raw_objects: u64,
    /// Those of them that do not exist any more.
    pub(super) gone: u64,
    /// Ticks of those.
    pub(super) not_compared: u64,
}

/// Compares a committed version with the raw objects that it has.
///
/// # Errors
/// S3 does not answer.
pub(super) async fn compare(
    bucket: &LakeBucket,
    version: &Version,
    inputs: &HashSet<&ObjectKey>,
    objects: &HourObjects,
    faults: &mut Faults,
) -> Result<Figures> {
    let plan = &version.plan;
    let missing = objects.missing(plan);
    let mut figures = Figures {
        files: plan.outputs().count() as u64 - missing.len() as u64,
        raw_objects: inputs.len() as u64,
        ..Figures::default()
    };
    if version.is_superseded {
        for key in &missing {
            faults.add(
                key,
                "it has expired, and the catalog still names its version",
            );
        }
    }
    if missing.is_empty() {
        compare_rows(bucket, plan, inputs, &mut figures, faults).await?;
    }
    Ok(figures)
}

async fn compare_rows(
    bucket: &LakeBucket,
    plan: &Plan,
    inputs: &HashSet<&ObjectKey>,
    figures: &mut Figures,
    faults: &mut Faults,
) -> Result<()> {
    let mut comparison = Comparison::new(inputs.iter().copied());
    let mut inputs: Vec<&ObjectKey> = inputs.iter().copied().collect();
    inputs.sort_by_cached_key(ToString::to_string);
    let reads = inputs.into_iter().map(|key| async move {
        let body = bucket.get(&key.to_string()).await;
        (key, body)
    });
    let mut reads = futures::stream::iter(reads).buffered(MAX_CONCURRENT_READS);
    while let Some((key, body)) = reads.next().await {
        let body = body?;
        figures.gone += u64::from(body.is_none());
        if let Err(error) = comparison.raw(key, body) {
            faults.add(key, format_args!("it cannot be compared: {error}"));
        }
    }
    let mut is_complete = true;
    for unit in 0..plan.units() {
        is_complete &= compare_unit(bucket, plan, unit, &mut comparison, figures, faults).await?;
    }
    figures.ticks = comparison.ticks();
    figures.not_compared = comparison.not_compared();
    // Without one of the parts, all of its rows would be missing.
    if is_complete {
        let suspects: Vec<&OffsetRange> = comparison.suspects().collect();
        for range in suspects.iter().take(MAX_SEARCHES) {
            search(bucket, plan, range, faults).await?;
        }
        let left = suspects.len().saturating_sub(MAX_SEARCHES);
        if left > 0 {
            let folder = Table::Ticks.version_prefix(plan.hour(), plan.version());
            faults.add(
                folder,
                format_args!("{left} further raw objects have other rows than the version"),
            );
        }
    }
    Ok(())
}

/// Compares the two parts of a unit. Returns whether all of its ticks were read.
async fn compare_unit(
    bucket: &LakeBucket,
    plan: &Plan,
    unit: u32,
    comparison: &mut Comparison,
    figures: &mut Figures,
    faults: &mut Faults,
) -> Result<bool> {
    let [ticks, bars] = plan.outputs_of(unit);
    let digest = plan.digest();
    for output in [ticks, bars] {
        if !bucket.has_digest(&output, &digest).await? {
            faults.add(
                output,
                "it was made by another plan, or overwritten: its metadata does not name this \
                 one's digest",
            );
        }
    }
    let Some(body) = part(bucket, &ticks, faults).await? else {
        return Ok(false);
    };
    let recount = match comparison.part(&ticks.to_string(), unit, body, faults) {
        Ok(recount) => recount,
        Err(error) => {
            faults.add(ticks, error);
            return Ok(false);
        }
    };
    if let Some(body) = part(bucket, &bars, faults).await? {
        match recount.compare(&bars.to_string(), body, faults) {
            Ok(count) => figures.bars += count,
            Err(error) => faults.add(bars, error),
        }
    }
    Ok(true)
}

async fn part(bucket: &LakeBucket, key: &OutputKey, faults: &mut Faults) -> Result<Option<Bytes>> {
    let body = bucket.get(&key.to_string()).await?;
    if body.is_none() {
        faults.add(key, "it vanished while it was compared");
    }
    Ok(body)
}

/// Finds the rows by which the version differs from the raw objects of a range.
async fn search(
    bucket: &LakeBucket,
    plan: &Plan,
    range: &OffsetRange,
    faults: &mut Faults,
) -> Result<()> {
    let mut search = Search::new(range);
    for key in range.inputs() {
        if let Some(body) = bucket.get(&key.to_string()).await?
            && let Err(error) = search.raw(key, body)
        {
            faults.add(key, format_args!("it cannot be compared: {error}"));
            return Ok(());
        }
    }
    for unit in 0..plan.units() {
        let [ticks, _] = plan.outputs_of(unit);
        if let Some(body) = part(bucket, &ticks, faults).await?
            && let Err(error) = search.part(&ticks.to_string(), body)
        {
            faults.add(ticks, error);
            return Ok(());
        }
    }
    let folder = Table::Ticks.version_prefix(plan.hour(), plan.version());
    search.report(&folder, faults);
    Ok(())
}

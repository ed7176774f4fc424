use anyhow::Result;
use local::Aws;

use super::count::{Counted, count};
use super::records::{AcknowledgedTick, Produced};
use super::registered::registered;
use super::retention::Retention;

/// The comparison of the lake with the produced records, by a count without any of
/// ticklake's own code.
pub(crate) struct Verdict {
    /// Acknowledged records that are missing, unless retention took them and the lake
    /// registers them as lost.
    pub(crate) lost: u64,
    /// Records that are in the lake more than once.
    pub(crate) twice: u64,
    /// Records that retention took before they landed, and that the lake registers as
    /// lost.
    pub(crate) registered: u64,
    /// Records of aborted transactions in the lake.
    uncommitted: u64,
    /// The acknowledged ticks that are in the lake.
    pub(crate) ticks: Vec<AcknowledgedTick>,
}

impl Verdict {
    /// Returns the defects in words, if there are any.
    pub(crate) fn problem(&self) -> Option<String> {
        let Self {
            lost,
            twice,
            uncommitted,
            ..
        } = self;
        (lost + twice + uncommitted > 0).then(|| {
            format!(
                "an independent count finds {lost} records lost, {twice} in the lake twice, \
                 {uncommitted} of aborted transactions"
            )
        })
    }
}

pub(crate) async fn judge(
    produced: &Produced,
    retention: &Retention,
    aws: &Aws,
    topic: &str,
) -> Result<Verdict> {
    let Counted {
        numbers,
        ticks,
        lost_below,
    } = count(aws, topic).await?;
    let registered = registered(aws, topic, topic, &lost_below).await?;
    let missing = produced
        .acknowledged
        .iter()
        .filter(|(number, _)| !numbers.contains_key(number))
        .map(|(_, place)| *place);
    let (taken, lost): (Vec<_>, Vec<_>) = missing.partition(|(partition, offset)| {
        retention.may_have_taken(*partition, *offset) && registered.contains(*partition, *offset)
    });
    let acknowledged = produced.acknowledged.iter();
    let ticks = acknowledged.filter(|(number, _)| ticks.contains(number));
    Ok(Verdict {
        ticks: ticks
            .map(|(number, (partition, offset))| AcknowledgedTick {
                number: *number,
                partition: *partition,
                offset: *offset,
            })
            .collect(),
        lost: lost.len() as u64,
        twice: numbers.values().filter(|count| **count > 1).count() as u64,
        registered: taken.len() as u64,
        uncommitted: produced
            .aborted
            .iter()
            .filter(|number| numbers.contains_key(number))
            .count() as u64,
    })
}

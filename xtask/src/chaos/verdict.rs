use anyhow::Result;
use local::Aws;

use super::count::{Counted, count};
use super::producer::Produced;
use super::registered::registered;
use super::retention::Retention;

/// How the lake compares with what was produced, by a count that uses none of ticklake's
/// own code.
pub(crate) struct Verdict {
    /// Records that were acknowledged and are missing, though retention did not take them
    /// or the lake does not say so.
    pub(crate) lost: u64,
    /// Records that are there more than once.
    pub(crate) twice: u64,
    /// Records that retention took before they landed, and of which the lake says so.
    pub(crate) registered: u64,
    /// Records of aborted transactions that are there.
    uncommitted: u64,
}

impl Verdict {
    /// Returns what is wrong, in words.
    pub(crate) fn told(&self) -> Option<String> {
        let Self {
            lost,
            twice,
            uncommitted,
            ..
        } = self;
        (lost + twice + uncommitted > 0).then(|| {
            format!("{lost} records are lost, {twice} are there twice, {uncommitted} are of aborted transactions, by an independent count")
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
    Ok(Verdict {
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

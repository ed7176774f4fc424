use std::sync::Arc;

use anyhow::{Result, ensure};
use lake::GapReason;
use tracing::{Instrument as _, error_span};
use wording::grouped;

use crate::config::Config;
use crate::lake_bucket::LakeBucket;
use crate::landing::{Landing, Sealed};
use crate::memory::{Memory, Shares};
use crate::repairs::Repairs;
use crate::topic::Topic;

/// Registers the records of a partition that have not landed, below offset `to`, as a
/// gap. Running consumers obey it like any other manifest.
///
/// The newest batch is completed before, as at every start; if it ends below `to` and
/// cannot be read again, then with as many records as can be read. Its objects say in
/// their metadata how many offsets they lack. Whoever creates an object first decides
/// that, also a consumer that can complete the batch after all.
///
/// # Errors
/// `to` has landed, or is behind the log's end.
pub(crate) async fn skip(
    config: &Config,
    bucket: LakeBucket,
    topic: Arc<Topic>,
    partition: i32,
    to: i64,
) -> Result<()> {
    let log = topic.log(partition).await?;
    ensure!(
        to <= log.end,
        "offset {to} is behind the end of partition {partition}; skip at most to {}, its next \
         record",
        log.end
    );
    let memory = Memory::new(Shares::of(config.memory.limit.0, 1)?.batches);
    let mut landing = Landing::new(
        bucket,
        topic,
        Repairs::new(&config.kafka, &memory),
        partition,
    )
    .give_up_below(to);
    let span = error_span!("partition", partition);
    let (next, is_registered) = up_to(&mut landing, to).instrument(span).await?;
    let given_up = landing.given_up();
    ensure!(
        is_registered || given_up > 0,
        "offset {} of partition {partition} and all before it have landed or are skipped already; \
         there is nothing to skip up to {to}",
        next - 1
    );
    if given_up > 0 {
        println!(
            "partition {partition}: the newest batch was incomplete; {} of its offsets could not \
             be read and are given up",
            grouped(given_up)
        );
    }
    if is_registered {
        let (last, count) = (to - 1, grouped((to - next).unsigned_abs()));
        println!(
            "partition {partition}: skipped offsets {next} to {last}, {count} of them; landing \
             goes on at {to}"
        );
    }
    Ok(())
}

/// Registers a gap up to `to`. Returns its first offset, and whether there is one: all
/// offsets below `to` may have landed.
async fn up_to(landing: &mut Landing, to: i64) -> Result<(i64, bool)> {
    loop {
        let next = landing.establish().await?;
        if next >= to {
            return Ok((next, false));
        }
        // A consumer may be faster with a batch of its own: the rest is skipped after it.
        if landing.gap((next, to - 1), GapReason::Skipped).await? == Sealed::Own {
            return Ok((next, true));
        }
    }
}

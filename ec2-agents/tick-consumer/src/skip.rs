use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use lake::GapReason;
use wording::grouped;

use crate::config::Config;
use crate::lake_bucket::LakeBucket;
use crate::landing::{Landing, Sealed};
use crate::topic::Topic;

/// Registers what a partition has not landed yet, up to but without offset `to`, as a gap. Consumers that run obey it like any other manifest.
///
/// # Errors
/// `to` has landed, or is behind the log's end.
pub(crate) async fn skip(config: &Config, bucket: LakeBucket, partition: i32, to: i64) -> Result<()> {
    let topic = Arc::new(Topic::new(&config.kafka)?);
    let log = topic.log(partition).await?;
    ensure!(to <= log.end, "offset {to} is behind the end of partition {partition}; skip at most to {}, its next record", log.end);
    let mut landing = Landing::new(bucket, topic, config.kafka.clone(), partition);
    loop {
        let next = landing.establish().await?;
        if next >= to {
            bail!(
                "offset {} of partition {partition} and all before it have landed or are skipped already; there is nothing to skip up to {to}",
                next - 1
            );
        }
        match landing.gap((next, to - 1), GapReason::Skipped).await? {
            Sealed::Own => {
                println!(
                    "partition {partition}: skipped offsets {next} to {}, {} of them; landing goes on at {to}",
                    to - 1,
                    grouped((to - next).unsigned_abs())
                );
                return Ok(());
            }
            // A consumer was faster with a batch of its own: what is left may be skipped behind it.
            Sealed::Other { .. } => {}
        }
    }
}

use std::sync::Arc;

use anyhow::{Result, anyhow};
use lake::Manifest;
use tracing::{info, warn};

use crate::log_error::LogError;
use crate::repairs::{Effort, Made, Repairs};
use crate::retry::{Retryable as _, retried, wait};

/// Attempts to read a batch whole before an operator's `skip` gives up the unreadable
/// records.
const WHOLE_ATTEMPTS: u32 = 4;

/// Makes objects of an incomplete batch again from the log. An operator may have given up
/// the records that cannot be read below `gives_up_below`.
///
/// # Errors
/// The objects cannot be made; names the remedies.
pub(super) async fn remake(
    repairs: &Repairs,
    manifest: &Arc<Manifest>,
    missing: &[usize],
    gives_up_below: i64,
) -> Result<Made> {
    let Manifest {
        ref topic,
        partition,
        first,
        last,
        ref attempt,
        ..
    } = **manifest;
    info!(
        event = "batch_incomplete",
        first,
        last,
        attempt,
        objects = missing.len(),
        "completing a batch that its consumer left incomplete"
    );
    let made = if last < gives_up_below {
        as_far_as_possible(repairs, manifest, missing).await?
    } else {
        let make = || repairs.make(manifest, missing, Effort::Whole);
        retried("read back", make).await.map_err(|error| {
            anyhow!(
                "cannot complete offsets {first} to {last} of partition {partition} of topic \
                 {topic:?}: {error}\n  \
                 or give up the records that cannot be read: tick-consumer skip --partition \
                 {partition} --to {}",
                last + 1
            )
        })?
    };
    if let Some(lost_below) = made.lost_below {
        warn!(
            event = "offsets_lost",
            first,
            last,
            lost_below,
            "OFFSETS ARE LOST: retention took the beginning of an incomplete batch, which is \
             completed with what is left"
        );
    }
    Ok(made)
}

/// Makes objects again on behalf of an operator: whole if possible, else with the records
/// that can be read, and if that fails, too, without any.
async fn as_far_as_possible(
    repairs: &Repairs,
    manifest: &Arc<Manifest>,
    missing: &[usize],
) -> Result<Made, LogError> {
    for attempt in 0.. {
        match repairs.make(manifest, missing, Effort::Whole).await {
            Ok(made) => return Ok(made),
            // A broker may be away for a moment.
            Err(error) if error.is_retryable() && attempt + 1 < WHOLE_ATTEMPTS => {
                wait("read back", attempt, &error).await
            }
            Err(error) => {
                giving_up(&error);
                break;
            }
        }
    }
    let make = || repairs.make(manifest, missing, Effort::Readable);
    match retried("read back", make).await {
        Ok(made) => Ok(made),
        Err(error) => {
            giving_up(&error);
            repairs.make(manifest, missing, Effort::Nothing).await
        }
    }
}

fn giving_up(error: &LogError) {
    warn!(%error, "giving up the records that cannot be read");
}

//! Hours that became complete: their outcomes are registers of `curate`.

use anyhow::{Context as _, Result, anyhow};
use aws_sdk_s3::Client;
use curation::{Outcome, Register, RegisterKey, Summary};
use lake_layout::LakePartition;
use metrics::counter;
use object_event::{ObjectCreated, ObjectVersion};
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use crate::look_up::{Unannounced, ask};

/// A version of an hour that is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CompleteHour {
    /// The register with its outcome.
    pub(crate) object: ObjectVersion,
    /// The hour, or the day of a lake with daily partitions.
    pub(crate) hour: LakePartition,
    /// The version.
    pub(crate) version: u32,
    /// The version that it replaces, if late ticks came.
    pub(crate) base: Option<u32>,
    /// Its contents in figures.
    pub(crate) summary: Summary,
}

/// Returns the key of an outcome, if this is one.
pub(crate) fn outcome_key(key: &str) -> Option<RegisterKey> {
    RegisterKey::parse(key).filter(|key| key.register == Register::Outcome)
}

/// Reads outcomes. Returns the hours that are complete, and the outcomes that cannot be
/// read, with the reason. No mail tells of an abandoned version: it has alarms.
pub(crate) async fn read(
    s3: &Client,
    outcomes: Vec<ObjectCreated>,
    until: Instant,
) -> (Vec<CompleteHour>, Unannounced) {
    let read = |created: ObjectCreated| async move {
        let object = created.object;
        let read = timeout_at(until, read_one(s3, &object)).await;
        let read = read.unwrap_or_else(|_| Err(anyhow!("not read before the deadline")));
        (object, read)
    };
    let (answers, mut unread) = ask(outcomes, read).await;
    let mut complete = Vec::new();
    for (object, read) in answers {
        match read {
            Ok(hour) => complete.extend(hour),
            Err(error) => {
                counter!("LookUpFailures").increment(1);
                let reason = format!("{error:#}");
                warn!(
                    key = object.key,
                    error = reason,
                    "cannot read the outcome of an hour, its message comes back later"
                );
                unread.insert(object, reason);
            }
        }
    }
    (complete, unread)
}

async fn read_one(s3: &Client, object: &ObjectVersion) -> Result<Option<CompleteHour>> {
    let key = outcome_key(&object.key).context("not the key of an outcome")?;
    // A register is created once, so its newest version is its only one.
    let get = s3.get_object().bucket(&object.bucket).key(&object.key);
    let place = || format!("GetObject s3://{}/{}", object.bucket, object.key);
    let answer = get.send().await;
    let answer = answer.map_err(|error| anyhow!("{}: {}", place(), aws_connect::brief(&error)))?;
    let body = answer.body.collect().await.with_context(place)?;
    match Outcome::from_json(&key, &body.into_bytes())? {
        Outcome::Committed { base, summary } => Ok(Some(CompleteHour {
            object: object.clone(),
            hour: key.hour,
            version: key.version,
            base,
            summary,
        })),
        Outcome::Abandoned { reason, .. } => {
            let reason = reason.name();
            info!(
                key = object.key,
                reason, "the version is abandoned, no mail tells of it"
            );
            Ok(None)
        }
    }
}

use std::io::{BufRead as _, BufReader};

use anyhow::{Context as _, Result};
use clap::Args;
use flate2::read::GzDecoder;
use futures::TryStreamExt as _;
use lake::{DeadLetter, ObjectKey};

use crate::lake_bucket::LakeBucket;

/// Which dead letters are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct Choice {
    /// Only those of this partition
    #[arg(long)]
    partition: Option<i32>,
    /// Only those whose reason contains this text
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// A dead letter and its place.
pub(super) struct Found {
    pub(super) partition: i32,
    pub(super) letter: DeadLetter,
}

impl Found {
    pub(super) fn name(&self) -> String {
        format!("{}:{}", self.partition, self.letter.offset)
    }
}

/// Calls `take` with one chosen dead letter of a topic after the other. No more than one
/// object of them is held.
pub(super) async fn each(
    bucket: &LakeBucket,
    topic: &str,
    choice: &Choice,
    mut take: impl AsyncFnMut(Found) -> Result<()>,
) -> Result<()> {
    let mut keys = bucket.keys(ObjectKey::DEAD_LETTERS);
    while let Some(key) = keys.try_next().await? {
        let Ok(parsed) = ObjectKey::parse(&key) else {
            continue;
        };
        if parsed.topic() != topic
            || choice
                .partition
                .is_some_and(|partition| partition != parsed.partition())
        {
            continue;
        }
        let Some(stored) = bucket.get(&key).await? else {
            continue;
        };
        let place = || bucket.place(&key);
        for line in BufReader::new(GzDecoder::new(stored.body.as_ref())).lines() {
            let line = line.with_context(place)?;
            let (_, partition, letter) = DeadLetter::from_json(&line)
                .with_context(|| format!("{} has a line that is not a dead letter", place()))?;
            if choice
                .reason
                .as_ref()
                .is_none_or(|reason| letter.reason.contains(reason))
            {
                take(Found { partition, letter }).await?;
            }
        }
    }
    Ok(())
}

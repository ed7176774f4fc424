//! Lands ticks from Kafka in the S3 lake.
//!
//! One task ([`group`]) owns membership: it serves the group and starts and stops one task per assigned partition ([`partition`]), which reads that
//! partition's own queue into a batch. [`seal`] alone turns a batch into objects and commits behind them, so that a record is
//! committed only after the objects that hold it exist. A crash between the two lands records again: G1 is kept once the manifests of
//! `DESIGN.md` take the committed offset's place, in that module.

mod cli;
mod config;
mod group;
mod lake_bucket;
mod partition;
mod seal;

use std::sync::Arc;

use anyhow::{Context as _, Result};
use tokio_util::sync::CancellationToken;

pub use cli::{Cli, Command};
pub use config::{Batch, Config, Group, Lake};
use lake_bucket::LakeBucket;

/// Validates the connections that [`run`] needs, and says what it found.
///
/// # Errors
/// Names the setting, its value and the remedy.
pub async fn check(config: &Config) -> Result<()> {
    let (partitions, _) = connect(config).await?;
    let Config { kafka, lake, .. } = config;
    println!("kafka   topic {:?} on {}: {partitions} partitions", kafka.topic, kafka.brokers);
    println!("lake    s3://{}: reachable", lake.bucket);
    println!("ok");
    Ok(())
}

/// Lands ticks until `shutdown`, then seals what is open, commits it and leaves the group.
///
/// # Errors
/// Kafka or the bucket cannot be reached at the start; afterwards both are retried for as long as it takes.
pub async fn run(config: Config, shutdown: CancellationToken) -> Result<()> {
    let connected = tokio::select! {
        connected = connect(&config) => connected?,
        () = shutdown.cancelled() => return Ok(()),
    };
    let (partitions, bucket) = connected;
    tracing::info!(topic = config.kafka.topic, partitions, group = config.group.id, bucket = config.lake.bucket, "consuming");
    group::serve(Arc::new(config), bucket, shutdown).await
}

async fn connect(config: &Config) -> Result<(usize, LakeBucket)> {
    let kafka = config.kafka.clone();
    let topic = tokio::task::spawn_blocking(move || kafka.check_topic());
    let bucket = LakeBucket::connect(&config.lake.bucket).await?;
    Ok((topic.await.context("the look at the topic ended early")??, bucket))
}

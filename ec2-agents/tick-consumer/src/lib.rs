//! Lands ticks from Kafka in the S3 lake, each exactly once.
//!
//! One task ([`group`]) owns membership: it serves the group and starts and stops one
//! task per assigned partition ([`readers`]), which reads that partition's own queue into
//! a batch ([`partition`]). [`sealer`] encodes a batch, and [`landing`] puts it into the
//! lake in the order that [`lake::Protocol`] alone decides (G1). [`memory`] keeps the
//! process within its limit (G3).

mod attempt;
mod cli;
mod client_config;
mod commands;
mod config;
mod curated_lake;
mod group;
mod http;
mod lake_bucket;
mod landing;
mod log_error;
mod membership;
mod memory;
mod metrics;
mod partition;
mod read_back;
mod readers;
mod repairs;
mod reserved_options;
mod retry;
mod sealer;
mod statistics;
mod status;
mod topic;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio_util::sync::CancellationToken;

pub use cli::{Cli, Command, DeadLetters};
pub use commands::curate::Curate;
pub use commands::dead_letters::{Choice, Replay};
pub use commands::reconcile::Reconcile;
pub use commands::verify::Verify;
use commands::{curate, dead_letters, reconcile, skip, verify};
pub use config::{
    BatchSettings, Config, EventSettings, GroupProtocol, GroupSettings, HttpSettings, LakeSettings,
    MemorySettings, RecordSettings, Tombstones,
};
use lake_bucket::LakeBucket;
use readers::Setup;
use status::Status;
use topic::Topic;

/// Time between two attempts to record the lake's retention.
const RETENTION_RETRY: Duration = Duration::from_secs(5);

/// Validates the connections that [`run`] needs, and prints the findings.
///
/// # Errors
/// Names the setting, its value and the remedy.
pub async fn check(config: &Config) -> Result<()> {
    let (partitions, ..) = connect(config).await?;
    memory::Shares::of(config.memory.limit.0, partitions as u64)?;
    topic::refuse_compaction(&config.kafka).await?;
    let Config { kafka, lake, .. } = config;
    println!(
        "kafka   topic {:?} on {}: {partitions} partitions",
        kafka.topic, kafka.brokers
    );
    println!(
        "lake    s3://{}: reachable, and creates an object only once",
        lake.bucket
    );
    println!("ok");
    Ok(())
}

/// Lands ticks until `shutdown`, then seals the open batches and leaves the group.
///
/// # Errors
/// Kafka or the bucket cannot be reached at the start; afterwards both are retried for as
/// long as it takes. Another consumer takes this one's place in the group.
pub async fn run(config: Config, shutdown: CancellationToken) -> Result<()> {
    let status = Arc::new(Status::default());
    if let Some(listen) = &config.http.listen {
        http::serve(listen, Arc::clone(&status)).await?;
    }
    let connected = tokio::select! {
        connected = connect(&config) => connected?,
        () = shutdown.cancelled() => return Ok(()),
    };
    let (partitions, bucket, topic) = connected;
    tracing::info!(
        topic = config.kafka.topic,
        partitions,
        group = config.group.id,
        bucket = config.lake.bucket,
        "consuming"
    );
    let kafka = config.kafka.clone();
    let lake = bucket.clone();
    let retention_days = config.lake.retention_days;
    let setup = Setup {
        config: Arc::new(config),
        bucket,
        topic,
        partitions: partitions as u64,
        status,
    };
    // Beside the work: brokers and S3 may take their time to answer, and batches that
    // land by then are right all the same.
    let refusal = async {
        if let Err(refusal) = topic::refuse_compaction(&kafka).await {
            return refusal;
        }
        while let Err(error) = lake.record_retention(retention_days).await {
            tracing::warn!(%error, "cannot record the lake's retention, trying again");
            tokio::time::sleep(RETENTION_RETRY).await;
        }
        std::future::pending().await
    };
    let stop = shutdown.child_token();
    let mut serving = std::pin::pin!(group::serve(setup, stop.clone()));
    tokio::select! {
        served = &mut serving => served,
        refusal = refusal => {
            // The group has to be left in any case.
            stop.cancel();
            serving.await?;
            Err(refusal)
        }
    }
}

/// Carries out a command. Returns false if it is done and the answer is no.
///
/// # Errors
/// A service that it needs cannot be reached, or refuses.
pub async fn execute(
    command: Command,
    config: Config,
    shutdown: CancellationToken,
) -> Result<bool> {
    match command {
        Command::Run => run(config, shutdown).await?,
        Command::Check => check(&config).await?,
        Command::Verify(wanted) => return verify::verify(&config.lake, &wanted).await,
        Command::Curate(wanted) => return curate::curate(&config.lake, &wanted, shutdown).await,
        Command::Skip { partition, to } => {
            let (_, bucket, topic) = connect(&config).await?;
            skip::skip(&config, bucket, topic, partition, to).await?;
        }
        Command::Reconcile(wanted) => {
            reconcile::reconcile(&config, &wanted).await?;
        }
        Command::DeadLetters(DeadLetters::List(choice)) => {
            dead_letters::list(&config, &LakeBucket::connect(&config.lake).await?, &choice).await?;
        }
        Command::DeadLetters(DeadLetters::Replay(replay)) => {
            let (_, bucket, _) = connect(&config).await?;
            dead_letters::replay(&config, &bucket, &replay).await?;
        }
    }
    Ok(true)
}

/// Returns the topic's number of partitions, the bucket and the topic.
async fn connect(config: &Config) -> Result<(usize, LakeBucket, Arc<Topic>)> {
    let kafka = config.kafka.clone();
    let topic = tokio::task::spawn_blocking(move || {
        anyhow::Ok((kafka.check_topic()?, Topic::new(&kafka)?))
    });
    let bucket = LakeBucket::connect_to_write(&config.lake).await?;
    let (partitions, topic) = topic.await.context("the look at the topic ended early")??;
    if !config.lake.accept_brokers_without_topic_ids {
        topic.refuse_missing_id().await?;
    }
    Ok((partitions, bucket, Arc::new(topic)))
}

use std::collections::BTreeMap;

use agent::KafkaContext;
use anyhow::{Context as _, Result, bail};
use clap::Args;
use rdkafka::producer::FutureProducer;

use super::found::{Choice, Found, each};
use super::once::{BROKER_TIMEOUT, Cutoff, Once, Outcome};
use super::register::Done;
use crate::config::Config;
use crate::lake_bucket::LakeBucket;

/// Which dead letters are produced again, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct Replay {
    /// Dead letters as `list` names them, partition:offset
    #[arg(required_unless_present = "all", value_name = "PARTITION:OFFSET")]
    letters: Vec<String>,
    /// All that --partition and --reason choose
    #[arg(long, conflicts_with = "letters")]
    all: bool,
    #[command(flatten)]
    choice: Choice,
    /// If an earlier replay was interrupted: search the topic for the record
    #[arg(long)]
    scan: bool,
    /// If an earlier replay was interrupted: produce once more in any case
    #[arg(long, conflicts_with = "scan")]
    force: bool,
}

/// Produces dead letters again, each once: an intent is registered before and its outcome
/// after, both as write-once registers.
///
/// # Errors
/// A named letter does not exist, or Kafka or S3 does not answer. Letters that were
/// produced before are registered.
pub(crate) async fn replay(config: &Config, bucket: &LakeBucket, wanted: &Replay) -> Result<()> {
    let topic = &config.kafka.topic;
    let mut producer = config.kafka.client_config();
    producer
        .set("enable.idempotence", "true")
        .set("message.timeout.ms", BROKER_TIMEOUT.as_millis().to_string());
    let producer: FutureProducer<KafkaContext> = producer
        .create_with_context(KafkaContext::default())
        .context("kafka.options")?;
    let once = Once {
        config,
        bucket,
        producer,
        cutoff: match (wanted.scan, wanted.force) {
            (true, _) => Cutoff::Scan,
            (_, true) => Cutoff::Force,
            _ => Cutoff::LeaveAlone,
        },
    };
    let (mut replayed, mut left) = (0_u64, 0_u64);
    let mut again = async |found: Found| {
        let name = found.name();
        match once
            .replay(&found)
            .await
            .with_context(|| format!("dead letter {name}"))?
        {
            Outcome::Produced(Done { partition, offset }) => {
                replayed += 1;
                println!("{name:<16} produced again, now {partition}:{offset}");
            }
            Outcome::LeftAlone(reason) => {
                left += 1;
                println!("{name:<16} left alone: {reason}");
            }
        }
        anyhow::Ok(())
    };
    if wanted.all {
        each(bucket, topic, &wanted.choice, &mut again).await?;
    } else {
        // A name that is wrong stops the command before it has produced any of the
        // others.
        let mut letters: BTreeMap<String, Found> = BTreeMap::new();
        each(bucket, topic, &wanted.choice, async |found| {
            let name = found.name();
            if wanted.letters.contains(&name) {
                letters.insert(name, found);
            }
            Ok(())
        })
        .await?;
        if let Some(missing) = wanted
            .letters
            .iter()
            .find(|name| !letters.contains_key(*name))
        {
            bail!(
                "topic {topic:?} has no dead letter {missing:?}; tick-consumer dead-letters list \
                 names them"
            );
        }
        for found in letters.into_values() {
            again(found).await?;
        }
    }
    println!(
        "{} produced again, {} left alone",
        wording::grouped(replayed),
        wording::grouped(left)
    );
    Ok(())
}

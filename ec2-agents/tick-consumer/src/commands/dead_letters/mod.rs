//! Shows the dead letters of a lake, and produces chosen ones again.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::time::Duration;

use agent::KafkaContext;
use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use flate2::read::GzDecoder;
use futures::TryStreamExt as _;
use lake::{DeadLetter, ObjectKey};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::lake_bucket::{LakeBucket, Put};
use crate::landing::attempt;
use crate::read_back::read_back;

type Producer = FutureProducer<KafkaContext>;

/// Says where a replayed record stood before: `<topic>/<partition>/<offset>`.
const ORIGIN: &str = "ticklake-origin";
/// Characters of a value that a list shows.
const SHOWN: usize = 60;
const PATIENCE: Duration = Duration::from_secs(30);

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
    /// Where an earlier replay was cut off: look in the topic whether it got through
    #[arg(long)]
    scan: bool,
    /// Where an earlier replay was cut off: produce once more, whatever came of it
    #[arg(long, conflicts_with = "scan")]
    force: bool,
}

/// Registered before a dead letter is produced again.
#[derive(Serialize, Deserialize)]
struct Intent {
    attempt: String,
    /// The ends of the topic's partitions at that time: what is produced stands behind
    /// them.
    ends: BTreeMap<i32, i64>,
}

/// Registered once a dead letter was produced again: where it stands.
#[derive(Serialize, Deserialize)]
struct Done {
    partition: i32,
    offset: i64,
}

/// A dead letter and where it stood.
struct Found {
    partition: i32,
    letter: DeadLetter,
}

impl Found {
    fn name(&self) -> String {
        format!("{}:{}", self.partition, self.letter.offset)
    }
}

/// Prints the dead letters of the topic, one a line.
pub(crate) async fn list(config: &Config, bucket: &LakeBucket, choice: &Choice) -> Result<()> {
    let topic = &config.kafka.topic;
    let mut count = 0_u64;
    each(bucket, topic, choice, async |found| {
        count += 1;
        let value = found
            .letter
            .value
            .as_deref()
            .map(String::from_utf8_lossy)
            .unwrap_or_default();
        let mut shown: String = value
            .chars()
            .take(SHOWN)
            .map(|c| if c.is_control() { '·' } else { c })
            .collect();
        if value.chars().count() > SHOWN {
            shown.push('…');
        }
        println!("{:<16} {}   {shown}", found.name(), found.letter.reason);
        Ok(())
    })
    .await?;
    println!("{} of topic {topic}", wording::count(count, "dead letter"));
    Ok(())
}

/// Calls `take` with one chosen dead letter of a topic after the other. No more than one
/// object of them is held.
async fn each(
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
        let Some((body, _)) = bucket.get(&key).await? else {
            continue;
        };
        for line in BufReader::new(GzDecoder::new(body.as_ref())).lines() {
            let line = line.with_context(|| format!("s3://{}/{key}", bucket.name()))?;
            let (_, partition, letter) = DeadLetter::from_json(&line).with_context(|| {
                format!(
                    "s3://{}/{key} has a line that is no dead letter",
                    bucket.name()
                )
            })?;
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

/// Produces dead letters again, each once: an intent is registered before and its outcome
/// after, both as write-once registers.
///
/// # Errors
/// A letter that was named does not exist, or Kafka or S3 does not answer. What was
/// produced before is registered.
pub(crate) async fn replay(config: &Config, bucket: &LakeBucket, wanted: &Replay) -> Result<()> {
    let topic = &config.kafka.topic;
    let mut producer = config.kafka.client_config();
    producer
        .set("enable.idempotence", "true")
        .set("message.timeout.ms", PATIENCE.as_millis().to_string());
    let producer: Producer = producer
        .create_with_context(KafkaContext::default())
        .context("kafka.options")?;
    let (mut replayed, mut left) = (0_u64, 0_u64);
    let mut again = async |found: Found| {
        let name = found.name();
        match replay_one(config, bucket, &producer, &found, wanted)
            .await
            .with_context(|| format!("dead letter {name}"))?
        {
            Ok(Done { partition, offset }) => {
                replayed += 1;
                println!("{name:<16} produced again, now {partition}:{offset}");
            }
            Err(reason) => {
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
                "topic {topic:?} has no dead letter {missing:?}; tick-consumer dead-letters list names them"
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

/// Produces one again, or says why not.
async fn replay_one(
    config: &Config,
    bucket: &LakeBucket,
    producer: &Producer,
    found: &Found,
    wanted: &Replay,
) -> Result<std::result::Result<Done, String>> {
    let topic = &config.kafka.topic;
    let Found { partition, letter } = found;
    if let Err(reason) = config
        .rules()
        .tick(letter.value.as_deref().unwrap_or_default())
    {
        return Ok(Err(format!("it would be a dead letter again: {reason}")));
    }
    let origin = format!("{topic}/{partition}/{}", letter.offset);
    let (intent_key, done_key) = (
        format!("_replays/{origin}/intent.json"),
        format!("_replays/{origin}/done.json"),
    );
    let intent = Intent {
        attempt: attempt(),
        ends: ends(config).await?,
    };
    if !create(bucket, &intent_key, &intent).await? {
        if let Some(Done { partition, offset }) = read::<Done>(bucket, &done_key).await? {
            return Ok(Err(format!(
                "it was produced again before, as {partition}:{offset}"
            )));
        }
        if wanted.scan {
            let before: Intent = read(bucket, &intent_key)
                .await?
                .context("the intent is gone")?;
            if let Some(done) = scan(config, &before, &origin).await? {
                create(bucket, &done_key, &done).await?;
                return Ok(Err(format!(
                    "it was produced again before, as {}:{}",
                    done.partition, done.offset
                )));
            }
        } else if !wanted.force {
            return Ok(Err(
                "an earlier replay was cut off, and may have got through: --scan looks in the topic, --force produces once more".to_owned(),
            ));
        }
    }
    let headers = letter
        .headers
        .iter()
        .fold(OwnedHeaders::new(), |headers, (name, value)| {
            kafka_native::add_header(headers, name, value.as_deref())
        });
    let headers = headers.insert(Header {
        key: ORIGIN,
        value: Some(&origin),
    });
    let mut record = FutureRecord::<[u8], [u8]>::to(topic)
        .partition(*partition)
        .headers(headers);
    record.key = letter.key.as_deref();
    record.payload = letter.value.as_deref();
    let delivered = producer
        .send(record, PATIENCE)
        .await
        .map_err(|(error, _)| error)
        .context("Kafka did not take it")?;
    let done = Done {
        partition: delivered.partition,
        offset: delivered.offset,
    };
    create(bucket, &done_key, &done).await?;
    Ok(Ok(done))
}

/// Registers something once; returns false where there is one already that is not ours.
async fn create<T: Serialize>(bucket: &LakeBucket, key: &str, register: &T) -> Result<bool> {
    let body = serde_json::to_vec(register)?;
    match bucket.create_json(key, body.clone()).await {
        Put::Created => Ok(true),
        Put::Refused => Ok(bucket
            .get(key)
            .await?
            .is_some_and(|(there, _)| there == body)),
        Put::Unknown(error) => match bucket.get(key).await? {
            Some((there, _)) => Ok(there == body),
            None => Err(error),
        },
    }
}

async fn read<T: serde::de::DeserializeOwned>(bucket: &LakeBucket, key: &str) -> Result<Option<T>> {
    let Some((body, _)) = bucket.get(key).await? else {
        return Ok(None);
    };
    Ok(Some(serde_json::from_slice(&body).with_context(|| {
        format!("s3://{}/{key}", bucket.name())
    })?))
}

/// Returns where the topic's partitions end.
async fn ends(config: &Config) -> Result<BTreeMap<i32, i64>> {
    let kafka = config.kafka.clone();
    tokio::task::spawn_blocking(move || {
        let client: BaseConsumer<KafkaContext> = kafka.metadata_client()?;
        let partitions = i32::try_from(kafka.check_topic()?).context("so many partitions")?;
        ensure!(partitions > 0, "topic {:?} has no partitions", kafka.topic);
        (0..partitions)
            .map(|partition| {
                Ok((
                    partition,
                    client
                        .fetch_watermarks(&kafka.topic, partition, PATIENCE)?
                        .1,
                ))
            })
            .collect()
    })
    .await?
}

/// Looks for a record of this origin behind what was there when the intent was
/// registered.
async fn scan(config: &Config, intent: &Intent, origin: &str) -> Result<Option<Done>> {
    for (partition, end) in ends(config).await? {
        let from = intent.ends.get(&partition).copied().unwrap_or(0);
        if from >= end {
            continue;
        }
        let (kafka, origin) = (config.kafka.clone(), origin.to_owned());
        let found = tokio::task::spawn_blocking(move || {
            let mut found = None;
            read_back(&kafka, partition, (from, end - 1), |record| {
                if record.headers.iter().any(|(name, value)| {
                    *name == ORIGIN.as_bytes() && *value == Some(origin.as_bytes())
                }) {
                    found = found.or(Some(record.offset));
                }
                Ok(())
            })?;
            anyhow::Ok(found)
        });
        if let Some(offset) = found.await?? {
            return Ok(Some(Done { partition, offset }));
        }
    }
    Ok(None)
}

use std::collections::BTreeMap;
use std::time::Duration;

use agent::KafkaContext;
use anyhow::{Context as _, Result, ensure};
use lake::DeadLetter;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};

use super::found::Found;
use super::register::{Done, Intent, create, read};
use crate::attempt::attempt;
use crate::config::Config;
use crate::lake_bucket::LakeBucket;
use crate::read_back::read_back;

/// The place of a replayed record's original: `<topic>/<partition>/<offset>`.
const ORIGIN_HEADER: &str = "ticklake-origin";
/// How long Kafka may take to answer a question or to acknowledge a record.
pub(super) const BROKER_TIMEOUT: Duration = Duration::from_secs(30);

/// Produces dead letters again, each once.
pub(super) struct Once<'a> {
    pub(super) config: &'a Config,
    pub(super) bucket: &'a LakeBucket,
    pub(super) producer: FutureProducer<KafkaContext>,
    pub(super) cutoff: Cutoff,
}

/// The treatment of a letter whose earlier replay was interrupted, and may have got
/// through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cutoff {
    LeaveAlone,
    /// The topic is searched for it.
    Scan,
    /// It is produced once more.
    Force,
}

/// The outcome of a letter's replay.
pub(super) enum Outcome {
    Produced(Done),
    /// It was not produced, for this reason.
    LeftAlone(String),
}

impl Once<'_> {
    pub(super) async fn replay(&self, found: &Found) -> Result<Outcome> {
        let topic = &self.config.kafka.topic;
        let Found { partition, letter } = found;
        let value = letter.value.as_deref().unwrap_or_default();
        if let Err(reason) = self.config.rules().tick(value) {
            return Ok(Outcome::LeftAlone(format!(
                "it would be a dead letter again: {reason}"
            )));
        }
        let origin = format!("{topic}/{partition}/{}", letter.offset);
        let intent_key = format!("_replays/{origin}/intent.json");
        let done_key = format!("_replays/{origin}/done.json");
        let intent = Intent {
            attempt: attempt(),
            ends: ends(self.config).await?,
        };
        if !create(self.bucket, &intent_key, &intent).await? {
            if let Some(done) = read::<Done>(self.bucket, &done_key).await? {
                return Ok(before(&done));
            }
            match self.cutoff {
                Cutoff::LeaveAlone => return Ok(Outcome::LeftAlone(
                    "an earlier replay was cut off, and may have got through: --scan looks in the \
                     topic, --force produces once more"
                        .to_owned(),
                )),
                Cutoff::Scan => {
                    let earlier: Intent = read(self.bucket, &intent_key)
                        .await?
                        .context("the intent is gone")?;
                    if let Some(done) = scan(self.config, &earlier, &origin).await? {
                        create(self.bucket, &done_key, &done).await?;
                        return Ok(before(&done));
                    }
                }
                Cutoff::Force => {}
            }
        }
        let done = self.produce(*partition, letter, &origin).await?;
        create(self.bucket, &done_key, &done).await?;
        Ok(Outcome::Produced(done))
    }

    async fn produce(&self, partition: i32, letter: &DeadLetter, origin: &str) -> Result<Done> {
        let headers = letter
            .headers
            .iter()
            .fold(OwnedHeaders::new(), |headers, (name, value)| {
                kafka_native::add_header(headers, name, value.as_deref())
            });
        let headers = headers.insert(Header {
            key: ORIGIN_HEADER,
            value: Some(origin),
        });
        let mut record = FutureRecord::<[u8], [u8]>::to(&self.config.kafka.topic)
            .partition(partition)
            .headers(headers);
        record.key = letter.key.as_deref();
        record.payload = letter.value.as_deref();
        let delivered = self
            .producer
            .send(record, BROKER_TIMEOUT)
            .await
            .map_err(|(error, _)| error)
            .context("Kafka did not take it")?;
        Ok(Done {
            partition: delivered.partition,
            offset: delivered.offset,
        })
    }
}

fn before(Done { partition, offset }: &Done) -> Outcome {
    Outcome::LeftAlone(format!(
        "it was produced again before, as {partition}:{offset}"
    ))
}

/// Returns the ends of the topic's partitions.
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
                        .fetch_watermarks(&kafka.topic, partition, BROKER_TIMEOUT)?
                        .1,
                ))
            })
            .collect()
    })
    .await?
}

/// Looks for a record of this origin after the ends at the time of the intent.
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
                    *name == ORIGIN_HEADER.as_bytes() && *value == Some(origin.as_bytes())
                }) {
                    found = found.or(Some(record.offset));
                }
            })?;
            anyhow::Ok(found)
        });
        if let Some(offset) = found.await?? {
            return Ok(Some(Done { partition, offset }));
        }
    }
    Ok(None)
}

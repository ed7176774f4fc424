use std::sync::Arc;
use std::time::{Duration, Instant};

use agent::{KafkaContext, KafkaSettings, Security};
use anyhow::{Context as _, Result, bail};
use lake::Log;
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use tokio::sync::Mutex;

use crate::log_error::LogError;

/// How long one question to the brokers may take.
const BROKER_TIMEOUT: Duration = Duration::from_secs(10);
/// The id that brokers without topic ids give every topic: zero, in base64.
const NO_ID: &str = "AAAAAAAAAAAAAAAAAAAAAA";
/// How long one broker may take to report the topic's id or settings, before another is
/// asked.
const ADMIN_TIMEOUT: Duration = Duration::from_secs(3);
/// Time between two attempts to read the topic's id at the start.
const ID_RETRY: Duration = Duration::from_millis(500);

/// The topic as the brokers have it: its id and its partitions' bounds. One client of its
/// own, in no group, shared by all partitions.
pub(crate) struct Topic {
    client: Arc<BaseConsumer<KafkaContext>>,
    kafka: Arc<KafkaSettings>,
    id: Mutex<Known>,
}

/// The last answer of the brokers.
#[derive(Default)]
struct Known {
    id: Option<(Instant, String)>,
    /// The broker that gave it, and is asked again.
    broker: Option<i32>,
}

impl Topic {
    /// Returns the topic; no broker is asked yet.
    pub(crate) fn new(kafka: &KafkaSettings) -> Result<Self> {
        Ok(Self {
            client: Arc::new(kafka.metadata_client()?),
            kafka: Arc::new(kafka.clone()),
            id: Mutex::default(),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.kafka.topic
    }

    /// Returns the topic's id as of now or later. Those who ask while the brokers are
    /// being asked share the next answer, as it comes after all of them asked.
    pub(crate) async fn id(&self) -> Result<String, LogError> {
        let asked = Instant::now();
        let mut known = self.id.lock().await;
        if let Some((asked_at, id)) = &known.id
            && *asked_at >= asked
        {
            return Ok(id.clone());
        }
        let asked_at = Instant::now();
        let client = Arc::clone(&self.client);
        let kafka = Arc::clone(&self.kafka);
        let broker = known.broker.take();
        let answer = tokio::task::spawn_blocking(move || ask_for_id(&client, &kafka, broker));
        let (broker, id) = answer
            .await
            .map_err(|_| LogError::Panicked("question for the topic's id"))??;
        known.broker = Some(broker);
        known.id = Some((asked_at, id.clone()));
        Ok(id)
    }

    /// Refuses brokers that have no topic ids. Tries for [`BROKER_TIMEOUT`], as a broker
    /// may be starting.
    ///
    /// # Errors
    /// The topic has no id, or no broker reports it.
    pub(crate) async fn refuse_missing_id(&self) -> Result<()> {
        let begun = Instant::now();
        loop {
            match self.id().await {
                Ok(id) if id == NO_ID => bail!(
                    "the brokers at {} give topic {:?} no id: they are older than Kafka 2.8, or do \
                     not implement KIP-516\n  \
                     without an id nobody notices that the topic was deleted and recreated, and \
                     new records count as landed; upgrade the brokers, \
                     or accept the risk: set lake.accept_brokers_without_topic_ids to true",
                    self.kafka.brokers,
                    self.name()
                ),
                Ok(_) => return Ok(()),
                Err(error) if begun.elapsed() > BROKER_TIMEOUT => return Err(error.into()),
                Err(_) => tokio::time::sleep(ID_RETRY).await,
            }
        }
    }

    /// Returns a partition's bounds, and the topic's id after them.
    pub(crate) async fn log(&self, partition: i32) -> Result<Log, LogError> {
        let (client, kafka) = (Arc::clone(&self.client), Arc::clone(&self.kafka));
        let look = move || {
            kafka.sign_in(&client);
            client.fetch_watermarks(&kafka.topic, partition, BROKER_TIMEOUT)
        };
        let bounds = tokio::task::spawn_blocking(look)
            .await
            .map_err(|_| LogError::Panicked("look at the log"))?;
        let (start, end) = bounds.map_err(LogError::kafka(format!(
            "cannot read the bounds of partition {partition} of topic {:?}",
            self.name()
        )))?;
        Ok(Log {
            topic_id: self.id().await?,
            start,
            end,
        })
    }
}

/// Returns a broker, and the topic's id that it reports. Blocks.
fn ask_for_id(
    client: &BaseConsumer<KafkaContext>,
    kafka: &KafkaSettings,
    broker: Option<i32>,
) -> Result<(i32, String), LogError> {
    kafka.sign_in(client);
    let broker = match broker {
        Some(broker) => broker,
        // One that is alive: the others learned from it which those are.
        None => {
            let metadata = client
                .fetch_metadata(Some(&kafka.topic), BROKER_TIMEOUT)
                .map_err(LogError::kafka("cannot find a broker"))?;
            let broker = fastrand::choice(metadata.brokers());
            broker
                .ok_or("the cluster has no brokers")
                .map_err(LogError::kafka("cannot find a broker"))?
                .id()
        }
    };
    let id = kafka_native::topic_id(client.client(), &kafka.topic, broker, ADMIN_TIMEOUT)
        .map_err(LogError::kafka("cannot read the topic's id"))?;
    Ok((broker, id))
}

/// Refuses a compacted topic: compaction takes records away at any time, and nobody could
/// tell them from records that were lost. Brokers that do not tell the topic's settings
/// are believed, and so is MSK with IAM: rdkafka's AdminClient does not ask for a token.
///
/// # Errors
/// The topic is compacted.
pub(crate) async fn refuse_compaction(kafka: &KafkaSettings) -> Result<()> {
    if kafka.security == Security::MskIam {
        return Ok(());
    }
    let admin: AdminClient<DefaultClientContext> =
        kafka.client_config().create().context("kafka.options")?;
    let options = AdminOptions::new()
        .request_timeout(Some(ADMIN_TIMEOUT))
        .operation_timeout(Some(ADMIN_TIMEOUT));
    let answer = admin
        .describe_configs([&ResourceSpecifier::Topic(&kafka.topic)], &options)
        .await;
    let settings = match answer.map(|mut resources| resources.pop()) {
        Ok(Some(Ok(settings))) => settings,
        answer => {
            let error = answer
                .err()
                .map_or_else(|| "no answer".to_owned(), |error| error.to_string());
            tracing::info!(
                error,
                "the brokers do not tell whether the topic is compacted"
            );
            return Ok(());
        }
    };
    let policy = settings
        .get("cleanup.policy")
        .and_then(|entry| entry.value.as_deref())
        .unwrap_or_default();
    if policy.contains("compact") {
        bail!(
            "topic {:?} is compacted (cleanup.policy={policy}): its records go at any time, and \
             exactly once has no meaning\n  \
             set cleanup.policy=delete: kafka-configs.sh --alter --entity-type topics \
             --entity-name {} --add-config cleanup.policy=delete",
            kafka.topic,
            kafka.topic
        );
    }
    Ok(())
}

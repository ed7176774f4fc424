use std::sync::Arc;
use std::time::{Duration, Instant};

use agent::{ClientLogs, Kafka};
use anyhow::{Context as _, Result, bail};
use lake::Log;
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use tokio::sync::Mutex;

/// How long one look at the brokers may take.
const LOOK: Duration = Duration::from_secs(10);
/// How long one broker may take to tell the topic's id, before another is asked.
const TELL: Duration = Duration::from_secs(3);

/// The topic as the brokers have it: its id and its partitions' bounds. One client of its own, in no group, shared by all partitions.
pub(crate) struct Topic {
    client: Arc<BaseConsumer<ClientLogs>>,
    name: String,
    id: Mutex<Known>,
}

/// What the brokers told last.
#[derive(Default)]
struct Known {
    id: Option<(Instant, String)>,
    /// The broker that told it, and is asked again.
    broker: Option<i32>,
}

impl Topic {
    /// Returns the topic; no broker is asked yet.
    pub(crate) fn new(kafka: &Kafka) -> Result<Self> {
        let client = kafka.client_config().create_with_context(ClientLogs).context("kafka.options")?;
        Ok(Self { client: Arc::new(client), name: kafka.topic.clone(), id: Mutex::default() })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the topic's id as of now or later. Those who ask while the brokers are being asked share the next answer, as that one was
    /// told after all of them asked.
    pub(crate) async fn id(&self) -> Result<String> {
        let asked = Instant::now();
        let mut known = self.id.lock().await;
        if let Some((told, id)) = &known.id
            && *told >= asked
        {
            return Ok(id.clone());
        }
        let told = Instant::now();
        let (client, name, broker) = (Arc::clone(&self.client), self.name.clone(), known.broker.take());
        let answer = tokio::task::spawn_blocking(move || {
            let broker = match broker {
                Some(broker) => broker,
                // One that is alive: the others learned from it which those are.
                None => {
                    let metadata = client.fetch_metadata(Some(&name), LOOK)?;
                    fastrand::choice(metadata.brokers()).context("the cluster has no brokers")?.id()
                }
            };
            anyhow::Ok((broker, kafka_native::topic_id(client.client(), &name, broker, TELL)?))
        });
        let (broker, id) = answer.await??;
        known.broker = Some(broker);
        known.id = Some((told, id.clone()));
        Ok(id)
    }

    /// Returns a partition's bounds, and the topic's id after them.
    pub(crate) async fn log(&self, partition: i32) -> Result<Log> {
        let (client, name) = (Arc::clone(&self.client), self.name.clone());
        let (start, end) = tokio::task::spawn_blocking(move || client.fetch_watermarks(&name, partition, LOOK))
            .await?
            .with_context(|| format!("cannot read the bounds of partition {partition} of topic {:?}", self.name))?;
        Ok(Log { topic_id: self.id().await?, start, end })
    }
}

/// Refuses a compacted topic: compaction takes records away at any time, and nobody could tell them from records that were lost. Brokers that do not tell
/// the topic's settings are believed.
///
/// # Errors
/// The topic is compacted.
pub(crate) async fn refuse_compaction(kafka: &Kafka) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = kafka.client_config().create().context("kafka.options")?;
    let options = AdminOptions::new().request_timeout(Some(TELL)).operation_timeout(Some(TELL));
    let answer = admin.describe_configs([&ResourceSpecifier::Topic(&kafka.topic)], &options).await;
    let settings = match answer.map(|mut resources| resources.pop()) {
        Ok(Some(Ok(settings))) => settings,
        answer => {
            let error = answer.err().map_or_else(|| "no answer".to_owned(), |error| error.to_string());
            tracing::info!(error, "the brokers do not tell whether the topic is compacted");
            return Ok(());
        }
    };
    let policy = settings.get("cleanup.policy").and_then(|entry| entry.value.as_deref()).unwrap_or_default();
    if policy.contains("compact") {
        bail!(
            "topic {:?} is compacted (cleanup.policy={policy}): its records go at any time, and exactly once has no meaning\n  \
             set cleanup.policy=delete: kafka-configs.sh --alter --entity-type topics --entity-name {} --add-config cleanup.policy=delete",
            kafka.topic,
            kafka.topic
        );
    }
    Ok(())
}

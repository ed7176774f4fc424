use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::RDKafkaApiKey;

use crate::apache_kafka::{ApacheKafka, Secured};
use crate::tools::check_java_and_maven;
use crate::{ProcessId, Processes, Repository};

/// Number of rows that the mock cluster can hold in any case. It keeps 5 MiB a partition,
/// and all rows of one symbol are in one partition.
pub const MOCK_ROWS: u64 = 20_000;

/// The kind of Kafka of a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KafkaKind {
    /// librdkafka's mock cluster, in this process.
    Mock,
    /// One real Apache Kafka broker.
    Apache,
    /// One broker that also supports TLS and SASL/SCRAM.
    ApacheSecured,
    /// Three brokers, which survive the loss of one.
    ApacheCluster,
}

/// A Kafka on 127.0.0.1.
pub struct Kafka {
    brokers: String,
    broker: Broker,
}

enum Broker {
    Mock(MockCluster<'static, DefaultProducerContext>),
    Apache(ApacheKafka),
}

impl KafkaKind {
    /// Checks that the machine has the programs that this kind needs.
    ///
    /// # Errors
    /// A program is missing; the error names the packages to install.
    pub fn check(self) -> Result<()> {
        match self {
            Self::Mock => Ok(()),
            Self::Apache | Self::ApacheSecured | Self::ApacheCluster => check_java_and_maven(),
        }
    }
}

impl Kafka {
    /// Starts a Kafka of this kind.
    ///
    /// # Errors
    /// It cannot be started. Apache Kafka also needs Java and Maven.
    pub async fn start(
        kind: KafkaKind,
        repository: &Repository,
        processes: &Processes,
        folder: &Path,
    ) -> Result<Self> {
        let count = match kind {
            KafkaKind::Mock => {
                let cluster = MockCluster::new(1).context("cannot start the mock cluster")?;
                return Ok(Self {
                    brokers: cluster.bootstrap_servers(),
                    broker: Broker::Mock(cluster),
                });
            }
            KafkaKind::Apache | KafkaKind::ApacheSecured => 1,
            KafkaKind::ApacheCluster => 3,
        };
        let kafka = ApacheKafka::start(
            count,
            kind == KafkaKind::ApacheSecured,
            repository,
            processes,
            folder,
        )
        .await?;
        Ok(Self {
            brokers: kafka.bootstrap(),
            broker: Broker::Apache(kafka),
        })
    }

    /// Returns the bootstrap brokers.
    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    /// Returns the broker's process, if it has one of its own.
    pub fn process(&self) -> Option<ProcessId> {
        match &self.broker {
            Broker::Mock(_) => None,
            Broker::Apache(kafka) => kafka.process(),
        }
    }

    /// Returns the access to a secured broker, if this is one.
    pub fn secured(&self) -> Option<&Secured> {
        match &self.broker {
            Broker::Mock(_) => None,
            Broker::Apache(kafka) => kafka.secured(),
        }
    }

    /// Returns a name for people.
    pub fn describe(&self) -> &'static str {
        match self.broker {
            Broker::Mock(_) => "embedded mock cluster",
            Broker::Apache(_) => "Apache Kafka 4.1.1",
        }
    }

    /// Switches the mock cluster off or on again. It keeps its records.
    ///
    /// # Errors
    /// This is not a mock cluster.
    pub fn switch(&self, on: bool) -> Result<()> {
        match &self.broker {
            Broker::Mock(cluster) if on => Ok(cluster.broker_up(1)?),
            Broker::Mock(cluster) => Ok(cluster.broker_down(1)?),
            Broker::Apache(_) => bail!("only the mock cluster can be switched"),
        }
    }

    /// Has the mock cluster answer a call in these versions alone.
    ///
    /// # Errors
    /// This is no mock cluster.
    pub fn answer_versions(
        &self,
        call: RDKafkaApiKey,
        versions: RangeInclusive<i16>,
    ) -> Result<()> {
        match &self.broker {
            Broker::Mock(cluster) => {
                Ok(cluster.apiversion(call, Some(*versions.start()), Some(*versions.end()))?)
            }
            Broker::Apache(_) => bail!("only the mock cluster's versions can be set"),
        }
    }

    /// Kills an Apache Kafka broker as a power failure would.
    ///
    /// # Errors
    /// There is no such broker.
    pub async fn kill_broker(&self, index: usize) -> Result<()> {
        match &self.broker {
            Broker::Apache(kafka) => kafka.kill(index).await,
            Broker::Mock(_) => bail!("the mock cluster has no processes"),
        }
    }

    /// Starts a broker that was killed, and waits until all are present.
    ///
    /// # Errors
    /// The broker does not start.
    pub async fn restart_broker(&mut self, index: usize) -> Result<()> {
        match &mut self.broker {
            Broker::Apache(kafka) => {
                kafka.restart(index).await?;
                kafka.wait().await
            }
            Broker::Mock(_) => bail!("the mock cluster has no processes"),
        }
    }

    /// Returns a client that administers topics.
    ///
    /// # Errors
    /// The client cannot be created.
    pub fn admin(&self) -> Result<AdminClient<DefaultClientContext>> {
        Ok(ClientConfig::new()
            .set("bootstrap.servers", &self.brokers)
            .create()?)
    }

    /// Creates a topic.
    ///
    /// # Errors
    /// Kafka refuses.
    pub async fn create_topic(&self, topic: &str, partitions: i32) -> Result<()> {
        match &self.broker {
            Broker::Mock(cluster) => cluster
                .create_topic(topic, partitions, 1)
                .with_context(|| format!("cannot create topic {topic:?}")),
            Broker::Apache(kafka) => {
                let admin = self.admin()?;
                let copies = i32::try_from(kafka.count().min(3))?;
                let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(copies));
                let created = admin
                    .create_topics(
                        [&new],
                        &AdminOptions::new().operation_timeout(Some(Duration::from_secs(10))),
                    )
                    .await?;
                match created.into_iter().next() {
                    Some(Ok(_)) => Ok(()),
                    Some(Err((_, code))) => bail!("cannot create topic {topic:?}: {code}"),
                    None => bail!("cannot create topic {topic:?}: no answer"),
                }
            }
        }
    }
}

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use tokio::process::Command;

use crate::ministack::free_port;
use crate::processes::wait_until;
use crate::tools::{check_java_and_maven, kafka_jars};
use crate::{ProcessId, Processes, Repository};

/// Rows that the mock cluster certainly holds: it keeps 5 MiB a partition, and one symbol may take all rows to one partition.
pub const MOCK_ROWS: u64 = 20_000;

/// Which Kafka a stack has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KafkaKind {
    /// librdkafka's mock cluster, in this process.
    Mock,
    /// One real Apache Kafka broker.
    Apache,
}

/// A Kafka on 127.0.0.1.
pub struct Kafka {
    brokers: String,
    broker: Broker,
}

enum Broker {
    Mock(MockCluster<'static, DefaultProducerContext>),
    Apache(ProcessId),
}

impl KafkaKind {
    /// Looks for what this kind needs on the machine.
    ///
    /// # Errors
    /// Something is missing; says what to install.
    pub fn check(self) -> Result<()> {
        match self {
            Self::Mock => Ok(()),
            Self::Apache => check_java_and_maven(),
        }
    }
}

impl Kafka {
    /// Starts a Kafka of this kind.
    ///
    /// # Errors
    /// It cannot be started; for Apache Kafka also where Java or Maven is missing.
    pub async fn start(kind: KafkaKind, repository: &Repository, processes: &Processes, folder: &Path) -> Result<Self> {
        match kind {
            KafkaKind::Mock => {
                let cluster = MockCluster::new(1).context("cannot start the mock cluster")?;
                Ok(Self { brokers: cluster.bootstrap_servers(), broker: Broker::Mock(cluster) })
            }
            KafkaKind::Apache => start_apache(repository, processes, folder).await,
        }
    }

    /// Returns the bootstrap brokers.
    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    /// Returns the broker's process, where it is one of its own.
    pub fn process(&self) -> Option<ProcessId> {
        match self.broker {
            Broker::Mock(_) => None,
            Broker::Apache(process) => Some(process),
        }
    }

    /// Returns what it is, for people.
    pub fn describe(&self) -> &'static str {
        match self.broker {
            Broker::Mock(_) => "embedded mock cluster",
            Broker::Apache(_) => "Apache Kafka 4.1.1",
        }
    }

    /// Cuts the mock cluster off, or brings it back: an outage that it survives.
    ///
    /// # Errors
    /// This is no mock cluster.
    pub fn switch(&self, on: bool) -> Result<()> {
        match &self.broker {
            Broker::Mock(cluster) if on => Ok(cluster.broker_up(1)?),
            Broker::Mock(cluster) => Ok(cluster.broker_down(1)?),
            Broker::Apache(_) => bail!("only the mock cluster can be switched"),
        }
    }

    /// Creates a topic.
    ///
    /// # Errors
    /// Kafka refuses.
    pub async fn create_topic(&self, topic: &str, partitions: i32) -> Result<()> {
        match &self.broker {
            Broker::Mock(cluster) => cluster.create_topic(topic, partitions, 1).with_context(|| format!("cannot create topic {topic:?}")),
            Broker::Apache(_) => {
                let admin: AdminClient<DefaultClientContext> = ClientConfig::new().set("bootstrap.servers", &self.brokers).create()?;
                let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
                let created = admin.create_topics([&new], &AdminOptions::new().operation_timeout(Some(Duration::from_secs(10)))).await?;
                match created.into_iter().next() {
                    Some(Ok(_)) => Ok(()),
                    Some(Err((_, code))) => bail!("cannot create topic {topic:?}: {code}"),
                    None => bail!("cannot create topic {topic:?}: no answer"),
                }
            }
        }
    }
}

async fn start_apache(repository: &Repository, processes: &Processes, folder: &Path) -> Result<Kafka> {
    let jars = format!("{}/*", kafka_jars(repository, processes).await?.display());
    let (port, controller) = (free_port()?, free_port()?);
    let properties = folder.join("kafka.properties");
    let settings = [
        "process.roles=broker,controller".to_owned(),
        "node.id=1".to_owned(),
        format!("controller.quorum.voters=1@127.0.0.1:{controller}"),
        format!("listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}"),
        format!("advertised.listeners=PLAINTEXT://127.0.0.1:{port}"),
        "controller.listener.names=CONTROLLER".to_owned(),
        format!("log.dirs={}", folder.join("kafka").display()),
        "offsets.topic.replication.factor=1".to_owned(),
        "offsets.topic.num.partitions=1".to_owned(),
        "transaction.state.log.replication.factor=1".to_owned(),
        "transaction.state.log.min.isr=1".to_owned(),
        "group.initial.rebalance.delay.ms=0".to_owned(),
        "auto.create.topics.enable=false".to_owned(),
    ];
    std::fs::write(&properties, settings.join("\n")).with_context(|| properties.display().to_string())?;
    let java = |main: &str| {
        let mut java = Command::new("java");
        java.args(["-Xms256m", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-cp", &jars, main]);
        java
    };
    let mut format = java("kafka.tools.StorageTool");
    format.args(["format", "-t", "AAAAAAAAAAAAAAAAAAAAAQ", "-c"]).arg(&properties);
    processes.run("kafka format", &mut format, &folder.join("kafka-format.log")).await?;
    let process = processes.start("Apache Kafka", java("kafka.Kafka").arg(&properties), &folder.join("kafka.log")).await?;
    let brokers = format!("127.0.0.1:{port}");
    wait_until("Apache Kafka", Duration::from_secs(60), || async {
        processes.expect_running(process).await?;
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", &brokers).set("log_level", "0").create()?;
        let metadata = tokio::task::spawn_blocking(move || admin.inner().fetch_metadata(None, Duration::from_millis(500)).is_ok());
        Ok(metadata.await?)
    })
    .await?;
    Ok(Kafka { brokers, broker: Broker::Apache(process) })
}

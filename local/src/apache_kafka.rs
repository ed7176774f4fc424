use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use rdkafka::ClientConfig;
use rdkafka::admin::AdminClient;
use rdkafka::client::DefaultClientContext;
use rustix::process::Signal;
use tokio::process::Command;

use crate::ministack::free_port;
use crate::processes::wait_until;
use crate::tools::kafka_jars;
use crate::{ProcessId, Processes, Repository};

/// Apache Kafka in KRaft mode: brokers that are controllers too, each a process of its own on 127.0.0.1.
pub(crate) struct ApacheKafka {
    processes: Processes,
    jars: String,
    folder: PathBuf,
    brokers: Vec<Broker>,
}

struct Broker {
    port: u16,
    process: ProcessId,
}

impl ApacheKafka {
    /// Starts a cluster of `count` brokers and waits until it answers.
    pub(crate) async fn start(count: u16, repository: &Repository, processes: &Processes, folder: &Path) -> Result<Self> {
        let jars = format!("{}/*", kafka_jars(repository, processes).await?.display());
        let mut ports = Vec::new();
        for _ in 0..count {
            ports.push((free_port()?, free_port()?));
        }
        let mut this = Self { processes: processes.clone(), jars, folder: folder.to_path_buf(), brokers: Vec::new() };
        for (index, (port, _)) in ports.iter().enumerate() {
            let properties = this.properties(index);
            std::fs::write(&properties, settings(index, &ports, folder)).with_context(|| properties.display().to_string())?;
            let mut format = this.java("kafka.tools.StorageTool");
            format.args(["format", "-t", "AAAAAAAAAAAAAAAAAAAAAQ", "-c"]).arg(&properties);
            processes.run("kafka format", &mut format, &folder.join(format!("kafka-format-{index}.log"))).await?;
            let process = this.run(index).await?;
            this.brokers.push(Broker { port: *port, process });
        }
        this.wait().await?;
        Ok(this)
    }

    pub(crate) fn bootstrap(&self) -> String {
        self.brokers.iter().map(|broker| format!("127.0.0.1:{}", broker.port)).collect::<Vec<_>>().join(",")
    }

    pub(crate) fn count(&self) -> usize {
        self.brokers.len()
    }

    /// Returns the first broker's process.
    pub(crate) fn process(&self) -> Option<ProcessId> {
        self.brokers.first().map(|broker| broker.process)
    }

    /// Kills a broker as a power failure would.
    pub(crate) async fn kill(&self, index: usize) -> Result<()> {
        let process = self.brokers.get(index).context("no such broker")?.process;
        self.processes.signal(process, Signal::KILL).await;
        self.processes.wait(process).await?;
        Ok(())
    }

    /// Starts a broker that was killed.
    pub(crate) async fn restart(&mut self, index: usize) -> Result<()> {
        let process = self.run(index).await?;
        self.brokers.get_mut(index).context("no such broker")?.process = process;
        Ok(())
    }

    /// Waits until every broker is there.
    pub(crate) async fn wait(&self) -> Result<()> {
        let bootstrap = self.bootstrap();
        wait_until("Apache Kafka", Duration::from_secs(90), || async {
            for broker in &self.brokers {
                self.processes.expect_running(broker.process).await?;
            }
            let admin: AdminClient<DefaultClientContext> =
                ClientConfig::new().set("bootstrap.servers", &bootstrap).set("log_level", "0").create()?;
            let there = tokio::task::spawn_blocking(move || {
                admin.inner().fetch_metadata(None, Duration::from_millis(500)).map_or(0, |metadata| metadata.brokers().len())
            });
            Ok(there.await? == self.count())
        })
        .await
    }

    async fn run(&self, index: usize) -> Result<ProcessId> {
        let log = self.folder.join(format!("kafka-{index}.log"));
        self.processes.start("Apache Kafka", self.java("kafka.Kafka").arg(self.properties(index)), &log).await
    }

    fn properties(&self, index: usize) -> PathBuf {
        self.folder.join(format!("kafka-{index}.properties"))
    }

    fn java(&self, main: &str) -> Command {
        let mut java = Command::new("java");
        java.args(["-Xms256m", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-cp", &self.jars, main]);
        java
    }
}

fn settings(index: usize, ports: &[(u16, u16)], folder: &Path) -> String {
    let (port, controller) = ports[index];
    let copies = ports.len().min(3);
    let voters: Vec<String> = ports.iter().zip(1..).map(|((_, port), id)| format!("{id}@127.0.0.1:{port}")).collect();
    [
        "process.roles=broker,controller".to_owned(),
        format!("node.id={}", index + 1),
        format!("controller.quorum.voters={}", voters.join(",")),
        format!("listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}"),
        format!("advertised.listeners=PLAINTEXT://127.0.0.1:{port}"),
        "controller.listener.names=CONTROLLER".to_owned(),
        format!("log.dirs={}", folder.join(format!("kafka-{index}")).display()),
        format!("offsets.topic.replication.factor={copies}"),
        "offsets.topic.num.partitions=1".to_owned(),
        format!("default.replication.factor={copies}"),
        format!("min.insync.replicas={}", copies.div_ceil(2)),
        format!("transaction.state.log.replication.factor={copies}"),
        "transaction.state.log.min.isr=1".to_owned(),
        "transaction.state.log.num.partitions=1".to_owned(),
        "broker.session.timeout.ms=6000".to_owned(),
        "group.initial.rebalance.delay.ms=0".to_owned(),
        // A member that is killed is missed for so long.
        "group.min.session.timeout.ms=6000".to_owned(),
        "group.consumer.min.session.timeout.ms=7000".to_owned(),
        "group.consumer.session.timeout.ms=7000".to_owned(),
        // Also how long librdkafka waits for a heartbeat's answer.
        "group.consumer.min.heartbeat.interval.ms=3000".to_owned(),
        "group.consumer.heartbeat.interval.ms=3000".to_owned(),
        // What retention removes is removed while a test looks.
        "log.retention.check.interval.ms=500".to_owned(),
        "log.initial.task.delay.ms=500".to_owned(),
        "auto.create.topics.enable=false".to_owned(),
    ]
    .join("\n")
}

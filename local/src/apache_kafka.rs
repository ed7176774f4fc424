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

/// Apache Kafka in KRaft mode on 127.0.0.1. Each broker is a process of its own and also
/// a controller.
pub(crate) struct ApacheKafka {
    processes: Processes,
    jars: String,
    folder: PathBuf,
    brokers: Vec<Broker>,
    secured: Option<Secured>,
}

struct Broker {
    port: u16,
    process: ProcessId,
}

/// Ports of one broker.
#[derive(Clone, Copy)]
struct Ports {
    plain: u16,
    controller: u16,
    tls: u16,
    scram: u16,
}

/// The access to a secured broker.
#[derive(Debug, Clone)]
pub struct Secured {
    /// Bootstrap server with TLS.
    pub tls: String,
    /// Bootstrap server with TLS and SASL/SCRAM-SHA-512.
    pub scram: String,
    /// PEM file with its self-signed certificate.
    pub ca_file: PathBuf,
    /// User for SCRAM.
    pub user: &'static str,
    /// The user's password.
    pub password: &'static str,
}

const SCRAM_USER: &str = "ticklake";
/// Password of the user and of the key store.
const PASSWORD: &str = "open-sesame";

impl ApacheKafka {
    /// Starts a cluster of `count` brokers and waits until it answers.
    pub(crate) async fn start(
        count: u16,
        is_secured: bool,
        repository: &Repository,
        processes: &Processes,
        folder: &Path,
    ) -> Result<Self> {
        let jars = format!("{}/*", kafka_jars(repository, processes).await?.display());
        let mut ports = Vec::new();
        for _ in 0..count {
            ports.push(Ports {
                plain: free_port()?,
                controller: free_port()?,
                tls: free_port()?,
                scram: free_port()?,
            });
        }
        let mut this = Self {
            processes: processes.clone(),
            jars,
            folder: folder.to_path_buf(),
            brokers: Vec::new(),
            secured: None,
        };
        if is_secured {
            this.secured = Some(this.secure(ports[0]).await?);
        }
        for (index, Ports { plain: port, .. }) in ports.iter().enumerate() {
            let properties = this.properties(index);
            let text = settings(index, &ports, folder, this.secured.as_ref());
            std::fs::write(&properties, text).with_context(|| properties.display().to_string())?;
            let mut format = this.java("kafka.tools.StorageTool");
            format
                .args(["format", "-t", "AAAAAAAAAAAAAAAAAAAAAQ", "-c"])
                .arg(&properties);
            if let Some(Secured { user, password, .. }) = this.secured {
                format
                    .arg("--add-scram")
                    .arg(format!("SCRAM-SHA-512=[name={user},password={password}]"));
            }
            processes
                .run(
                    "kafka format",
                    &mut format,
                    &folder.join(format!("kafka-format-{index}.log")),
                )
                .await?;
            let process = this.run(index).await?;
            this.brokers.push(Broker {
                port: *port,
                process,
            });
        }
        this.wait().await?;
        Ok(this)
    }

    /// Returns the access to the first broker, if the cluster is secured.
    pub(crate) fn secured(&self) -> Option<&Secured> {
        self.secured.as_ref()
    }

    /// Creates a key and a self-signed certificate.
    async fn secure(&self, ports: Ports) -> Result<Secured> {
        let store = self.folder.join("kafka.p12");
        let ca_file = self.folder.join("kafka.pem");
        let keytool = |arguments: &[&str]| {
            let mut keytool = Command::new("keytool");
            keytool
                .args(arguments)
                .args([
                    "-alias",
                    "broker",
                    "-storetype",
                    "PKCS12",
                    "-storepass",
                    PASSWORD,
                    "-keystore",
                ])
                .arg(&store);
            keytool
        };
        let log = self.folder.join("keytool.log");
        let mut make = keytool(&[
            "-genkeypair",
            "-keyalg",
            "EC",
            "-validity",
            "2",
            "-dname",
            "CN=localhost",
            "-ext",
            "san=ip:127.0.0.1",
        ]);
        self.processes.run("keytool", &mut make, &log).await?;
        let mut export = keytool(&["-exportcert", "-rfc"]);
        export.arg("-file").arg(&ca_file);
        self.processes.run("keytool", &mut export, &log).await?;
        let at = |port| format!("127.0.0.1:{port}");
        Ok(Secured {
            tls: at(ports.tls),
            scram: at(ports.scram),
            ca_file,
            user: SCRAM_USER,
            password: PASSWORD,
        })
    }

    pub(crate) fn bootstrap(&self) -> String {
        self.brokers
            .iter()
            .map(|broker| format!("127.0.0.1:{}", broker.port))
            .collect::<Vec<_>>()
            .join(",")
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
        self.brokers
            .get_mut(index)
            .context("no such broker")?
            .process = process;
        Ok(())
    }

    /// Waits until every broker is present.
    pub(crate) async fn wait(&self) -> Result<()> {
        let bootstrap = self.bootstrap();
        wait_until("Apache Kafka", Duration::from_secs(90), || async {
            for broker in &self.brokers {
                self.processes.expect_running(broker.process).await?;
            }
            let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
                .set("bootstrap.servers", &bootstrap)
                .set("log_level", "0")
                .create()?;
            let present = tokio::task::spawn_blocking(move || {
                admin
                    .inner()
                    .fetch_metadata(None, Duration::from_millis(500))
                    .map_or(0, |metadata| metadata.brokers().len())
            });
            Ok(present.await? == self.count())
        })
        .await
    }

    async fn run(&self, index: usize) -> Result<ProcessId> {
        let log = self.folder.join(format!("kafka-{index}.log"));
        self.processes
            .start(
                "Apache Kafka",
                self.java("kafka.Kafka").arg(self.properties(index)),
                &log,
            )
            .await
    }

    fn properties(&self, index: usize) -> PathBuf {
        self.folder.join(format!("kafka-{index}.properties"))
    }

    fn java(&self, main: &str) -> Command {
        let mut java = Command::new("java");
        java.args([
            "-Xms256m",
            "-Xmx512m",
            "-XX:TieredStopAtLevel=1",
            "-cp",
            &self.jars,
            main,
        ]);
        java
    }
}

fn settings(index: usize, ports: &[Ports], folder: &Path, secured: Option<&Secured>) -> String {
    let Ports {
        plain: port,
        controller,
        tls,
        scram,
    } = ports[index];
    let mut more = Vec::new();
    let mut listeners = format!("PLAINTEXT://127.0.0.1:{port}");
    if secured.is_some() {
        listeners = format!("{listeners},SSL://127.0.0.1:{tls},SASL_SSL://127.0.0.1:{scram}");
        more = vec![
            "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,\
             SSL:SSL,SASL_SSL:SASL_SSL"
                .to_owned(),
            format!(
                "ssl.keystore.location={}",
                folder.join("kafka.p12").display()
            ),
            "ssl.keystore.type=PKCS12".to_owned(),
            format!("ssl.keystore.password={PASSWORD}"),
            "sasl.enabled.mechanisms=SCRAM-SHA-512,OAUTHBEARER".to_owned(),
            // Accepts unsigned JSON web tokens and refuses MSK's tokens. Its refusal
            // shows that a token of MSK has reached it.
            "listener.name.sasl_ssl.oauthbearer.sasl.jaas.config=\
             org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required \
             unsecuredLoginStringClaim_sub=\"broker\";"
                .to_owned(),
            "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=\
             org.apache.kafka.common.security.scram.ScramLoginModule required;"
                .to_owned(),
        ];
    }
    let copies = ports.len().min(3);
    let voters: Vec<String> = ports
        .iter()
        .zip(1..)
        .map(|(ports, id)| format!("{id}@127.0.0.1:{}", ports.controller))
        .collect();
    let settings = [
        "process.roles=broker,controller".to_owned(),
        format!("node.id={}", index + 1),
        format!("controller.quorum.voters={}", voters.join(",")),
        format!("listeners={listeners},CONTROLLER://127.0.0.1:{controller}"),
        format!("advertised.listeners={listeners}"),
        "controller.listener.names=CONTROLLER".to_owned(),
        format!(
            "log.dirs={}",
            folder.join(format!("kafka-{index}")).display()
        ),
        format!("offsets.topic.replication.factor={copies}"),
        "offsets.topic.num.partitions=1".to_owned(),
        format!("default.replication.factor={copies}"),
        format!("min.insync.replicas={}", copies.div_ceil(2)),
        format!("transaction.state.log.replication.factor={copies}"),
        "transaction.state.log.min.isr=1".to_owned(),
        "transaction.state.log.num.partitions=1".to_owned(),
        "broker.session.timeout.ms=6000".to_owned(),
        "group.initial.rebalance.delay.ms=0".to_owned(),
        // Time until the group notices a killed member.
        "group.min.session.timeout.ms=6000".to_owned(),
        "group.consumer.min.session.timeout.ms=7000".to_owned(),
        "group.consumer.session.timeout.ms=7000".to_owned(),
        // librdkafka also waits this long for a heartbeat's answer.
        "group.consumer.min.heartbeat.interval.ms=3000".to_owned(),
        "group.consumer.heartbeat.interval.ms=3000".to_owned(),
        // Short, so that retention works during a test.
        "log.retention.check.interval.ms=500".to_owned(),
        "log.initial.task.delay.ms=500".to_owned(),
        "auto.create.topics.enable=false".to_owned(),
    ];
    settings
        .into_iter()
        .chain(more)
        .collect::<Vec<_>>()
        .join("\n")
}

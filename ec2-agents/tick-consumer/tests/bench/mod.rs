//! A consumer as a process, with a Kafka and an S3 of its own.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses a part of it"
)]

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use lake::{Batch, Format, Manifest, Record, Routing, Rules};
use local::{
    Kafka, KafkaKind, LakeContents, Ministack, ProcessId, Processes, Repository, SwitchableProxy,
};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;

pub mod kafka_proxy;

pub const BUCKET: &str = "lake";
/// A valid tick.
pub const TICK: &[u8] = br#"{"symbol":"A","event_time":0,"price":1}"#;
pub const WAIT_TIMEOUT: Duration = Duration::from_secs(60);
/// How long systemd waits for a consumer to end.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

pub struct Bench {
    pub folder: TempDir,
    pub kafka: Kafka,
    pub ministack: Ministack,
    pub s3: SwitchableProxy,
    pub processes: Processes,
    pub producer: FutureProducer,
}

/// Returns the most memory that a process had so far, in MiB; `None` if it has ended.
pub fn peak_mebibytes(process: ProcessId) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(
        line.trim()
            .trim_end_matches(" kB")
            .parse::<u64>()
            .expect("a number")
            / 1024,
    )
}

/// Sends a tick to partition 0 without a key and headers.
pub async fn send_tick(producer: &FutureProducer) {
    let record = FutureRecord::<(), _>::to("ticks")
        .partition(0)
        .payload(TICK);
    producer.send(record, WAIT_TIMEOUT).await.expect("sent");
}

impl Bench {
    pub async fn new() -> Self {
        Self::with(KafkaKind::Mock).await
    }

    pub async fn with(kind: KafkaKind) -> Self {
        Self::with_partitions(kind, 4).await
    }

    pub async fn with_partitions(kind: KafkaKind, partitions: i32) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let processes = Processes::default();
        let ministack = Ministack::of_test(&processes, folder.path())
            .await
            .expect("ministack");
        ministack.aws.create_bucket(BUCKET).await.expect("a bucket");
        let kafka = Kafka::start(kind, &Repository::here(), &processes, folder.path())
            .await
            .expect("Kafka");
        kafka
            .create_topic("ticks", partitions)
            .await
            .expect("a topic");
        let s3 = SwitchableProxy::start(ministack.aws.endpoint().trim_start_matches("http://"))
            .await
            .expect("a proxy");
        let producer = ClientConfig::new()
            .set("bootstrap.servers", kafka.brokers())
            .create()
            .expect("a producer");
        Self {
            folder,
            kafka,
            ministack,
            s3,
            processes,
            producer,
        }
    }

    pub fn log(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn said(&self, name: &str) -> String {
        std::fs::read_to_string(self.log(name)).unwrap_or_default()
    }

    /// Starts a consumer that reaches S3 through the proxy.
    pub async fn start(&self, name: &str, arguments: &[&str]) -> ProcessId {
        self.start_at(&self.s3.url(), name, arguments).await
    }

    /// Starts a consumer that reaches S3 at an endpoint.
    pub async fn start_at(&self, endpoint: &str, name: &str, arguments: &[&str]) -> ProcessId {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tick-consumer"));
        command
            .env_clear()
            .envs(self.ministack.aws.environment())
            .env("AWS_ENDPOINT_URL", endpoint)
            .current_dir(self.folder.path());
        command
            .env("TICK_CONSUMER_KAFKA__BROKERS", self.kafka.brokers())
            .env("TICK_CONSUMER_LAKE__BUCKET", BUCKET);
        command
            .env("TICK_CONSUMER_LAKE__FORMAT", "json")
            .args(arguments);
        self.processes
            .start(name, &mut command, &self.log(name))
            .await
            .expect("a process")
    }

    /// Runs a command of the consumer to its end; returns whether it succeeded, and its
    /// output.
    pub async fn command(&self, arguments: &[&str]) -> (bool, String) {
        let process = self.start("command", arguments).await;
        let status = tokio::time::timeout(WAIT_TIMEOUT, self.processes.wait(process))
            .await
            .expect("an end")
            .expect("a status");
        (status.success(), self.said("command"))
    }

    /// Expects the lake to be whole, by reading every object; returns the report.
    pub async fn expect_whole(&self) -> Value {
        let (is_whole, said) = self.command(&["verify", "--deep", "--json"]).await;
        assert!(is_whole, "{said}");
        // In front of it may be signs of life.
        let report = said.find("{\n").map(|begin| &said[begin..]);
        serde_json::from_str(report.unwrap_or_default()).expect("JSON")
    }

    /// Expects a consumer not to start, and returns its output.
    pub async fn refused(&self, arguments: &[&str]) -> String {
        self.refused_at(&self.s3.url(), arguments).await
    }

    /// Expects a consumer that reaches S3 at an endpoint not to start, and returns its
    /// output.
    pub async fn refused_at(&self, endpoint: &str, arguments: &[&str]) -> String {
        let started = Instant::now();
        let process = self.start_at(endpoint, "refused", arguments).await;
        let ended = tokio::time::timeout(WAIT_TIMEOUT, self.processes.wait(process)).await;
        let said = self.said("refused");
        let status = ended
            .unwrap_or_else(|_| panic!("still running: {said}"))
            .expect("a status");
        assert!(
            !status.success() && started.elapsed() < Duration::from_secs(15),
            "{status} after {:?}: {said}",
            started.elapsed()
        );
        said
    }

    /// Expects a consumer to park a partition and to stop at once on a signal; returns
    /// its output.
    pub async fn parked(&self, name: &str, arguments: &[&str]) -> String {
        let process = self.start(name, arguments).await;
        self.wait_for_event(name, "partition_parked", json!({}))
            .await;
        self.stop(process, name).await;
        self.said(name)
    }

    pub async fn stop(&self, process: ProcessId, name: &str) {
        self.processes.signal(process, Signal::TERM).await;
        let status = tokio::time::timeout(STOP_TIMEOUT, self.processes.wait(process))
            .await
            .expect("an end")
            .expect("a status");
        assert!(status.success(), "{status}: {}", self.said(name));
    }

    /// Produces a record to a partition.
    pub async fn produce(&self, partition: i32, value: &[u8]) {
        self.produce_to("ticks", partition, value).await;
    }

    /// Returns the record's offset.
    pub async fn produce_to(&self, topic: &str, partition: i32, value: &[u8]) -> i64 {
        let headers = OwnedHeaders::new().insert(Header {
            key: "origin",
            value: Some("test"),
        });
        let record = FutureRecord::to(topic)
            .partition(partition)
            .key("A")
            .payload(value)
            .headers(headers);
        self.producer
            .send(record, WAIT_TIMEOUT)
            .await
            .map_err(|(error, _)| error)
            .expect("a delivery")
            .offset
    }

    /// Returns a producer that can begin transactions.
    pub fn transactional(&self) -> FutureProducer {
        let producer: FutureProducer = ClientConfig::new()
            .set("bootstrap.servers", self.kafka.brokers())
            .set("transactional.id", "t")
            .create()
            .expect("a producer");
        producer
            .init_transactions(WAIT_TIMEOUT)
            .expect("transactions");
        producer
    }

    /// Produces a record that is not a valid tick, and waits until a consumer has read
    /// it, and so all before it in its partition. It has to be the first of its batch.
    pub async fn produce_mark(&self, partition: i32, name: &str) {
        let offset = self.produce_to("ticks", partition, b"mark").await;
        let fields = json!({"partition": partition, "offset": offset});
        self.wait_for_event(name, "first_dead_letter", fields).await;
    }

    /// Returns the offset that the group has committed.
    pub async fn committed(&self, partition: i32) -> Option<i64> {
        let client: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", self.kafka.brokers())
            .set("group.id", "tick-consumer")
            .create()
            .expect("a client");
        let mut asked = TopicPartitionList::new();
        asked.add_partition("ticks", partition);
        let committed =
            tokio::task::spawn_blocking(move || client.committed_offsets(asked, WAIT_TIMEOUT))
                .await
                .expect("an end");
        match committed.expect("an answer").elements()[0].offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        }
    }

    /// Returns the topic's id, which manifests have to name.
    pub async fn topic_id(&self, topic: &str) -> String {
        let client: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", self.kafka.brokers())
            .create()
            .expect("a client");
        let topic = topic.to_owned();
        tokio::task::spawn_blocking(move || {
            let broker = client
                .fetch_metadata(None, WAIT_TIMEOUT)
                .expect("metadata")
                .brokers()[0]
                .id();
            kafka_native::topic_id(client.client(), &topic, broker, WAIT_TIMEOUT).expect("an id")
        })
        .await
        .expect("an id")
    }

    pub async fn put(&self, key: &str, body: Vec<u8>) {
        let s3 = aws_sdk_s3::Client::new(self.ministack.aws.config());
        s3.put_object()
            .bucket(BUCKET)
            .key(key)
            .body(body.into())
            .send()
            .await
            .expect("an object");
    }

    /// Registers a batch without its objects, as a consumer leaves it that dies in
    /// between.
    pub async fn put_manifest(&self, manifest: &Manifest) {
        self.put(
            &manifest.key().to_string(),
            manifest.to_json().expect("JSON"),
        )
        .await;
    }

    /// Returns the manifest that a consumer would have registered for the first values of
    /// partition 0.
    pub async fn manifest(&self, topic: &str, values: &[&[u8]]) -> Manifest {
        let rules = Rules {
            routing: Routing::default(),
            max_record_bytes: 1 << 20,
            skip_tombstones: false,
        };
        let mut batch = Batch::new(topic, 0, 0, rules);
        for (offset, value) in (0..).zip(values) {
            batch.push(
                &Record {
                    offset,
                    timestamp_ms: Some(0),
                    value: Some(value),
                    ..Record::default()
                },
                Instant::now(),
            );
        }
        batch
            .seal(Format::Json, &self.topic_id(topic).await, "the-dead-one")
            .expect("a manifest")
            .0
    }

    pub async fn produce_ticks(&self, partition: i32, count: usize) {
        for number in 0..count {
            self.produce(
                partition,
                format!(r#"{{"symbol":"A","event_time":{number},"price":1}}"#).as_bytes(),
            )
            .await;
        }
    }

    /// Waits until the lake holds this many rows; returns its contents.
    pub async fn landed(&self, rows: u64) -> LakeContents {
        let mut lake = LakeContents::default();
        let deadline = Instant::now() + WAIT_TIMEOUT;
        loop {
            lake.refresh(&self.ministack.aws, BUCKET)
                .await
                .expect("a listing");
            if lake.rows("") >= rows {
                return lake;
            }
            assert!(
                Instant::now() < deadline,
                "{} of {rows} rows have landed",
                lake.rows("")
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Returns the lines of all objects below a prefix.
    pub async fn lines(&self, lake: &LakeContents, prefix: &str) -> Vec<Value> {
        let s3 = aws_sdk_s3::Client::new(self.ministack.aws.config());
        let mut lines = Vec::new();
        for (key, _) in lake.below(prefix) {
            let object = s3
                .get_object()
                .bucket(BUCKET)
                .key(key)
                .send()
                .await
                .expect("an object");
            let bytes = object.body.collect().await.expect("a body").into_bytes();
            let mut text = String::new();
            flate2::read::GzDecoder::new(bytes.as_ref())
                .read_to_string(&mut text)
                .expect("gzip");
            lines.extend(
                text.lines()
                    .map(|line| serde_json::from_str::<Value>(line).expect("JSON")),
            );
        }
        lines
    }

    /// Expects each of the first `count` offsets of a partition exactly once in the
    /// objects, as a tick or as a dead letter.
    pub async fn expect_once(&self, lake: &LakeContents, partition: i64, count: i64) {
        let lines = self.lines(lake, "").await;
        let offsets: Vec<i64> = lines
            .iter()
            .filter(|line| line["kafka_partition"] == partition)
            .filter_map(|line| line["kafka_offset"].as_i64())
            .collect();
        assert_eq!(
            offsets.len() as i64,
            count,
            "partition {partition}: {offsets:?}"
        );
        assert_eq!(
            offsets.into_iter().collect::<BTreeSet<_>>(),
            (0..count).collect(),
            "partition {partition}"
        );
    }

    /// Returns the lines of a consumer's log with this event and these fields, each with
    /// the partition of the task that logged it.
    pub fn events(&self, name: &str, event: &str, fields: &Value) -> Vec<Value> {
        let fields = fields.as_object().expect("an object");
        let said = self.said(name);
        let lines = said.lines().filter_map(|line| {
            let mut line: Value = serde_json::from_str(line).ok()?;
            if let Some(partition) = line["span"].get("partition").cloned() {
                line["partition"] = partition;
            }
            Some(line)
        });
        lines
            .filter(|line| line["event"] == event)
            .filter(|line| fields.iter().all(|(name, value)| line[name] == *value))
            .collect()
    }

    /// Returns true if a consumer has logged an event.
    pub fn has_logged(&self, name: &str, event: &str) -> bool {
        !self.events(name, event, &json!({})).is_empty()
    }

    /// Waits until a consumer has logged an event with these fields.
    pub async fn wait_for_event(&self, name: &str, event: &str, fields: Value) {
        let deadline = Instant::now() + WAIT_TIMEOUT;
        while self.events(name, event, &fields).is_empty() {
            assert!(
                Instant::now() < deadline,
                "{name} never logged {event} with {fields}: {}",
                self.said(name)
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Asks a consumer's HTTP server.
    pub async fn get(&self, address: &str, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        answer
    }

    /// Asks until the answer is as wanted; returns it.
    pub async fn get_until(
        &self,
        address: &str,
        path: &str,
        is_wanted: impl Fn(&str) -> bool,
    ) -> String {
        let deadline = Instant::now() + 2 * WAIT_TIMEOUT;
        loop {
            let answer = self.get(address, path).await;
            if is_wanted(&answer) {
                return answer;
            }
            assert!(Instant::now() < deadline, "{path} still answers: {answer}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub async fn end(self) {
        self.processes.stop_all().await;
    }
}

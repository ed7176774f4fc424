//! The consumer's commands over a lake with curated tables in a local AWS.

#![allow(
    unreachable_pub,
    reason = "a module of a test has no other crate to be private from"
)]

use std::time::Duration;

use aws_sdk_s3::Client;
use curation::Table;
use lake::{Format, LakePartition};
use local::{Ministack, Processes, RawTicks, Workspace, catalog};
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;

pub const BUCKET: &str = "lake";
/// Another lake, with tables in a database of the same name.
pub const OTHER: &str = "other";
/// The hour of the ticks, long past.
pub const HOUR: &str = "dt=2026-11-21/hr=05";
/// 2026-11-21T05:00:00Z.
const HOUR_MS: i64 = 1_795_237_200_000;
const TIMEOUT: Duration = Duration::from_secs(60);

pub struct Bench {
    folder: TempDir,
    processes: Processes,
    ministack: Ministack,
    s3: Client,
    queue: String,
}

impl Bench {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let processes = Processes::default();
        let workspace = Workspace::open(&processes, folder.path())
            .await
            .expect("the tools");
        let ministack = Ministack::start(&workspace).await.expect("ministack");
        let aws = &ministack.aws;
        for lake in [BUCKET, OTHER] {
            aws.create_bucket(lake).await.expect("a bucket");
            let created = catalog::create_database(aws, lake).await;
            created.expect("a database");
            for table in Table::ALL {
                let location = format!("s3://{lake}/{}", table.prefix());
                let created = catalog::create_table(aws, lake, table.name(), &location).await;
                created.expect("a table");
            }
        }
        let queue = aws
            .call("sqs", "create_queue", &json!({"QueueName": "events"}))
            .await;
        let queue = queue.expect("a queue")["QueueUrl"].take();
        Self {
            s3: Client::new(aws.config()),
            queue: queue.as_str().expect("a URL").to_owned(),
            folder,
            processes,
            ministack,
        }
    }

    /// Runs a command to its end; returns whether it succeeded, and its output.
    async fn command(&self, arguments: &[&str], settings: &[(&str, &str)]) -> (bool, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tick-consumer"));
        command
            .env_clear()
            .envs(self.ministack.aws.environment())
            .env("RUST_LOG", "error")
            .env("TICK_CONSUMER_KAFKA__BROKERS", "127.0.0.1:9")
            .env("TICK_CONSUMER_LAKE__BUCKET", BUCKET)
            .env("TICK_CONSUMER_EVENTS__CRAWL_QUEUE", &self.queue)
            .env("TICK_CONSUMER_EVENTS__NOTIFY_QUEUE", &self.queue)
            .envs(settings.iter().copied())
            .current_dir(self.folder.path())
            .args(arguments);
        let output = tokio::time::timeout(TIMEOUT, command.output())
            .await
            .expect("an end")
            .expect("an output");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).expect("UTF-8");
        (output.status.success(), said)
    }

    async fn on_lake(&self, arguments: &[&str]) -> (bool, String) {
        let database = [("TICK_CONSUMER_LAKE__DATABASE", BUCKET)];
        self.command(arguments, &database).await
    }

    /// Expects a command to fail; returns its output.
    pub async fn refused(&self, arguments: &[&str], settings: &[(&str, &str)]) -> String {
        let (is_done, said) = self.command(arguments, settings).await;
        assert!(!is_done, "{said}");
        said
    }

    /// Expects a command to succeed; returns its output.
    pub async fn expect_whole(&self, arguments: &[&str]) -> String {
        let (is_done, said) = self.on_lake(arguments).await;
        assert!(is_done, "{said}");
        said
    }

    /// Expects a command to find faults; returns its output.
    pub async fn expect_faults(&self, arguments: &[&str]) -> String {
        let (is_done, said) = self.on_lake(arguments).await;
        assert!(!is_done && said.contains("NOT WHOLE"), "{said}");
        said
    }

    /// Curates the day of the hour.
    pub async fn curate(&self, more: &[&str]) -> (bool, String) {
        let period = ["curate", "--from", "2026-11-21", "--to", "2026-11-21"];
        self.on_lake(&[&period, more].concat()).await
    }

    /// Curates the other lake.
    pub async fn curate_other(&self) {
        let arguments = [
            "curate",
            "--from=2026-11-21",
            "--to=2026-11-21",
            "--through=2026-12-01",
            "--bucket",
            OTHER,
            "--database",
            OTHER,
        ];
        let (is_done, said) = self.command(&arguments, &[]).await;
        assert!(is_done, "{said}");
    }

    /// Puts a raw object with ticks of these symbols and prices, from this offset on.
    pub async fn land(&self, format: Format, partition: i32, first: i64, ticks: &[(&str, f64)]) {
        self.land_in(BUCKET, format, partition, first, ticks).await;
    }

    /// Puts a raw object into the other lake; returns its key.
    pub async fn land_other(&self, partition: i32, ticks: &[(&str, f64)]) -> String {
        self.land_in(OTHER, Format::Parquet, partition, 0, ticks)
            .await
    }

    async fn land_in(
        &self,
        bucket: &str,
        format: Format,
        partition: i32,
        first_offset: i64,
        ticks: &[(&str, f64)],
    ) -> String {
        let raw = RawTicks {
            format,
            first_ms: HOUR_MS,
            partition,
            first_offset,
            ticks,
        };
        let put = raw.put(&self.ministack.aws, bucket).await;
        put.expect("a raw object")
    }

    /// Returns the keys below a prefix.
    pub async fn keys(&self, prefix: &str) -> Vec<String> {
        let list = self.s3.list_objects_v2().bucket(BUCKET).prefix(prefix);
        let listed = list.send().await.expect("a listing");
        let keys = listed.contents().iter().filter_map(|object| object.key());
        keys.map(str::to_owned).collect()
    }

    pub async fn body(&self, bucket: &str, key: &str) -> Vec<u8> {
        let get = self.s3.get_object().bucket(bucket).key(key);
        let object = get.send().await.expect("an object");
        let body = object.body.collect().await.expect("a body");
        body.into_bytes().into()
    }

    pub async fn put(&self, key: &str, body: Vec<u8>) {
        let put = self.s3.put_object().bucket(BUCKET).key(key);
        put.body(body.into()).send().await.expect("PutObject");
    }

    pub async fn delete(&self, key: &str) {
        let delete = self.s3.delete_object().bucket(BUCKET).key(key);
        delete.send().await.expect("DeleteObject");
    }

    /// Returns the faults that are found while an object has another body, and the same
    /// metadata.
    pub async fn with_body(&self, key: &str, body: Vec<u8>) -> String {
        let get = self.s3.get_object().bucket(BUCKET).key(key);
        let object = get.send().await.expect("an object");
        let metadata = object.metadata().cloned();
        let whole = object.body.collect().await.expect("a body").into_bytes();
        let put = async |body: Vec<u8>| {
            let put = self.s3.put_object().bucket(BUCKET).key(key);
            let put = put.set_metadata(metadata.clone()).body(body.into());
            put.send().await.expect("PutObject");
        };
        put(body).await;
        let found = self.expect_faults(&["verify", "--curated"]).await;
        put(whole.into()).await;
        self.expect_whole(&["verify", "--curated"]).await;
        found
    }

    /// Gives the hour's partition the location of a version.
    pub async fn point(&self, table: Table, version: u32) {
        let hour = LakePartition::of_key(&format!("{HOUR}/")).expect("an hour");
        let values = [hour.dt(), hour.hr()];
        let values = [values[0].as_str(), values[1].as_str()];
        let location = table.location(BUCKET, hour, version);
        let aws = &self.ministack.aws;
        let moved = catalog::relocate_partition(aws, BUCKET, table.name(), &values, &location);
        moved.await.expect("BatchUpdatePartition");
    }

    pub async fn end(self) {
        self.processes.stop_all().await;
    }
}

//! The function as a process behind a runtime API, with a lake, a queue and the curated
//! tables in a local AWS.

use std::collections::BTreeSet;
use std::path::Path;

use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use aws_sdk_sqs::types::QueueAttributeName;
use curation::{Outcome, Register, RegisterKey, Table};
use lake::{Format, LakePartition};
use local::{FunctionProcess, Ministack, Processes, RawTicks, Rows, Tools, Workspace, catalog};
use serde_json::{Value, json};
use tempfile::TempDir;

pub const BUCKET: &str = "lake";
pub const DATABASE: &str = "ticklake";
/// The hour of the ticks, long past.
pub const HOUR: &str = "dt=2026-11-21/hr=05";
/// 2026-11-21T05:00:00Z.
pub const HOUR_MS: i64 = 1_795_237_200_000;

pub struct Bench {
    pub folder: TempDir,
    processes: Processes,
    pub ministack: Ministack,
    pub s3: aws_sdk_s3::Client,
    pub glue: aws_sdk_glue::Client,
    sqs: aws_sdk_sqs::Client,
    queue: String,
    tools: Tools,
}

/// A message of the queue.
#[derive(Debug, Clone)]
pub struct Message {
    pub body: String,
    pub receives: u32,
}

impl Bench {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let processes = Processes::default();
        let workspace = Workspace::open(&processes, folder.path())
            .await
            .expect("the tools");
        let ministack = Ministack::start(&workspace).await.expect("ministack");
        ministack.aws.create_bucket(BUCKET).await.expect("a bucket");
        let config = ministack.aws.config();
        let glue = aws_sdk_glue::Client::new(config);
        let created = catalog::create_database(&ministack.aws, DATABASE).await;
        created.expect("CreateDatabase");
        let sqs = aws_sdk_sqs::Client::new(config);
        let create = sqs.create_queue().queue_name("work");
        let create = create.attributes(QueueAttributeName::VisibilityTimeout, "0");
        let queue = create.send().await.expect("CreateQueue");
        let bench = Self {
            s3: aws_sdk_s3::Client::new(config),
            glue,
            queue: queue.queue_url().expect("a URL").to_owned(),
            sqs,
            tools: workspace.tools.clone(),
            folder,
            processes,
            ministack,
        };
        for table in Table::ALL {
            bench.create_table(table).await;
        }
        // Then a key that was overwritten has two versions.
        let versioning = VersioningConfiguration::builder();
        let versioning = versioning.status(BucketVersioningStatus::Enabled).build();
        let put = bench.s3.put_bucket_versioning().bucket(BUCKET);
        let put = put.versioning_configuration(versioning).send();
        put.await.expect("PutBucketVersioning");
        bench
    }

    /// Ends the function's processes and the local AWS.
    pub async fn stop(self, functions: impl IntoIterator<Item = FunctionProcess>) {
        for function in functions {
            function.stop().await.expect("a stop");
        }
        self.processes.stop_all().await;
    }

    /// Expects that each register and output was created once.
    pub async fn expect_nothing_overwritten(&self) {
        for prefix in ["_curated/", "curated/"] {
            let list = self.s3.list_object_versions().bucket(BUCKET);
            let answer = list.prefix(prefix).send().await;
            let answer = answer.expect("ListObjectVersions");
            let keys: Vec<_> = answer
                .versions()
                .iter()
                .map(|object| object.key())
                .collect();
            let distinct: BTreeSet<_> = keys.iter().collect();
            assert!(!keys.is_empty());
            assert_eq!(keys.len(), distinct.len(), "overwritten: {keys:?}");
        }
    }

    pub async fn create_table(&self, table: Table) {
        let location = format!("s3://{BUCKET}/{}", table.prefix());
        let aws = &self.ministack.aws;
        let created = catalog::create_table(aws, DATABASE, table.name(), &location).await;
        created.expect("CreateTable");
    }

    pub async fn delete_table(&self, table: Table) {
        let delete = self.glue.delete_table().database_name(DATABASE);
        delete.name(table.name()).send().await.expect("DeleteTable");
    }

    /// Starts the function with the template's settings, and more variables.
    pub async fn start(&self, more: &[(&str, &str)]) -> FunctionProcess {
        let settings = [
            ("LAKE_BUCKET", BUCKET),
            ("WORK_QUEUE_URL", &self.queue),
            ("GLUE_DATABASE", DATABASE),
            ("CURATE_GRACE_MINUTES", "10"),
            // The ticks' hour stays in reach of a look, whenever the test runs.
            ("CURATE_LOOK_BACK_DAYS", "36500"),
        ];
        let environment = self.ministack.aws.environment().into_iter();
        let environment = environment
            .map(|(name, value)| (name.to_owned(), value))
            .chain(
                settings
                    .iter()
                    .chain(more)
                    .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
            );
        let environment: Vec<_> = environment.collect();
        let binary = Path::new(env!("CARGO_BIN_EXE_curate"));
        let log = self.folder.path().join("function.log");
        let started = FunctionProcess::start(&self.processes, binary, &environment, &log);
        started.await.expect("a function")
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("function.log")).expect("a log")
    }

    /// Puts a raw object with ticks of these symbols and prices, from this offset on.
    pub async fn land(&self, format: Format, partition: i32, first: i64, ticks: &[(&str, f64)]) {
        let raw = RawTicks {
            format,
            first_ms: HOUR_MS,
            partition,
            first_offset: first,
            ticks,
        };
        let put = raw.put(&self.ministack.aws, BUCKET);
        put.await.expect("a raw object");
    }

    /// Overwrites an object, as another program may.
    pub async fn overwrite(&self, key: &str, body: &[u8]) {
        let put = self.s3.put_object().bucket(BUCKET).key(key);
        put.body(body.to_vec().into())
            .send()
            .await
            .expect("PutObject");
    }

    /// Deletes registers of the hour's version 0, as nobody should.
    pub async fn delete_registers(&self, names: &[&str]) {
        for name in names {
            let key = format!("_curated/{HOUR}/000000.{name}.json");
            let delete = self.s3.delete_object().bucket(BUCKET).key(key).send();
            delete.await.expect("DeleteObject");
        }
    }

    /// Returns the tasks in the queue, and takes them out.
    pub async fn tasks(&self) -> Vec<Message> {
        let mut tasks = Vec::new();
        loop {
            let receive = self.sqs.receive_message().queue_url(&self.queue);
            let answer = receive.max_number_of_messages(10).send().await;
            let answer = answer.expect("ReceiveMessage");
            if answer.messages().is_empty() {
                return tasks;
            }
            for message in answer.messages() {
                let delete = self.sqs.delete_message().queue_url(&self.queue);
                let receipt = message.receipt_handle().expect("a receipt");
                delete
                    .receipt_handle(receipt)
                    .send()
                    .await
                    .expect("DeleteMessage");
                tasks.push(Message {
                    body: message.body().expect("a body").to_owned(),
                    receives: 1,
                });
            }
        }
    }

    /// Looks for closed hours, and carries out the tasks, until no task comes. Returns
    /// the summary of the last look.
    pub async fn curate(&self, function: &mut FunctionProcess) -> Value {
        loop {
            let summary = self.look(function, json!({})).await;
            let tasks = self.tasks().await;
            if tasks.is_empty() {
                return summary;
            }
            for task in tasks {
                self.expect_done(function, &task).await;
            }
        }
    }

    /// Looks for closed hours. The ticks' objects land now, so `through` closes the hour.
    pub async fn look(&self, function: &mut FunctionProcess, more: Value) -> Value {
        let mut plan = json!({"through": "2026-12-01"});
        let more = more.as_object().expect("an object").clone();
        plan.as_object_mut().expect("an object").extend(more);
        let answer = function
            .invoke(&json!({ "plan": plan }))
            .await
            .expect("an answer");
        answer.unwrap_or_else(|error| panic!("{error}: {}", self.log()))
    }

    pub async fn expect_done(&self, function: &mut FunctionProcess, task: &Message) {
        let failed = work(function, task).await;
        assert!(!failed, "{task:?}: {}", self.log());
    }

    /// Returns the outcomes of the hour's versions.
    pub async fn outcomes(&self) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        loop {
            let hour = LakePartition::of_key(&format!("{HOUR}/")).expect("an hour");
            let version = outcomes.len().try_into().expect("few versions");
            let register = Register::Outcome;
            let key = RegisterKey {
                hour,
                version,
                register,
            };
            let get = self.s3.get_object().bucket(BUCKET).key(key.to_string());
            let Ok(object) = get.send().await else {
                return outcomes;
            };
            let body = object.body.collect().await.expect("a body").into_bytes();
            outcomes.push(Outcome::from_json(&key, &body).expect("an outcome"));
        }
    }

    /// Expects that the hour has one version, and that it is committed.
    pub async fn expect_committed(&self) {
        let outcomes = self.outcomes().await;
        assert!(
            outcomes.len() == 1 && outcomes[0].is_committed(),
            "{outcomes:?}"
        );
    }

    pub async fn expect_newest_committed(&self) {
        let outcomes = self.outcomes().await;
        let newest = outcomes.last();
        assert!(newest.is_some_and(Outcome::is_committed), "{outcomes:?}");
    }

    /// Returns the locations that the catalog has for a table.
    pub async fn locations(&self, table: Table) -> Vec<String> {
        let get = self.glue.get_partitions().database_name(DATABASE);
        let answer = get
            .table_name(table.name())
            .send()
            .await
            .expect("GetPartitions");
        let location = |partition: &aws_sdk_glue::types::Partition| {
            let storage = partition
                .storage_descriptor()
                .expect("a storage descriptor");
            storage.location().expect("a location").to_owned()
        };
        answer.partitions().iter().map(location).collect()
    }

    /// Asks DuckDB about the curated tables, as the catalog names their objects.
    pub async fn query(&self, sql: &str) -> Vec<Vec<String>> {
        let folder = self.folder.path().join("query");
        let tables = Table::ALL.map(Table::name);
        let aws = &self.ministack.aws;
        let rows = Rows::query_catalog(aws, &self.tools, DATABASE, &tables, sql, &folder);
        rows.await.expect("rows").rows
    }
}

/// Gives a task to the function. Returns whether its message comes back.
pub async fn work(function: &mut FunctionProcess, task: &Message) -> bool {
    let batch = json!({"Records": [{
        "eventSource": "aws:sqs",
        "messageId": "m0",
        "body": task.body,
        "attributes": {"ApproximateReceiveCount": task.receives.to_string()},
    }]});
    let answer = function.invoke(&batch).await.expect("an answer");
    let answer = answer.expect("a batch response");
    !answer["batchItemFailures"]
        .as_array()
        .expect("failures")
        .is_empty()
}

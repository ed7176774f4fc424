//! The function with a queue and a topic of a local AWS.

#![allow(clippy::expect_used, reason = "a test says what it expected")]

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName;
use function::{Deadline, EventFunction as _};
use local::{FunctionProcess, Ministack, Processes, Workspace, wait_until};
use notify::{Notify, Settings};
use serde_json::{Value, json};
use tempfile::TempDir;

struct Bench {
    folder: TempDir,
    processes: Processes,
    ministack: Ministack,
    sns: aws_sdk_sns::Client,
    sqs: aws_sdk_sqs::Client,
    queue: String,
}

impl Bench {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let processes = Processes::default();
        let workspace = Workspace::open(&processes, folder.path())
            .await
            .expect("the tools");
        let ministack = Ministack::start(&workspace).await.expect("ministack");
        let (sns, sqs) = (
            aws_sdk_sns::Client::new(ministack.aws.config()),
            aws_sdk_sqs::Client::new(ministack.aws.config()),
        );
        let queue = sqs
            .create_queue()
            .queue_name("notify")
            .send()
            .await
            .expect("CreateQueue")
            .queue_url()
            .expect("a URL")
            .to_owned();
        Self {
            folder,
            processes,
            ministack,
            sns,
            sqs,
            queue,
        }
    }

    async fn set_visibility(&self, seconds: &str) {
        let attributes =
            HashMap::from([(QueueAttributeName::VisibilityTimeout, seconds.to_owned())]);
        self.sqs
            .set_queue_attributes()
            .queue_url(&self.queue)
            .set_attributes(Some(attributes))
            .send()
            .await
            .expect("SetQueueAttributes");
    }

    /// Returns how many messages the queue has, and how many of them nobody holds.
    async fn messages(&self) -> (u64, u64) {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let asked = self
            .sqs
            .get_queue_attributes()
            .queue_url(&self.queue)
            .set_attribute_names(Some(names.to_vec()));
        let answer = asked.send().await.expect("GetQueueAttributes");
        let [visible, held] = names.map(|name| {
            answer.attributes().expect("attributes")[&name]
                .parse::<u64>()
                .expect("a number")
        });
        (visible + held, visible)
    }
}

fn event(key: &str) -> Value {
    json!({"source": "aws.s3", "detail-type": "Object Created", "time": "2026-11-21T05:00:01Z",
        "detail": {"bucket": {"name": "lake"}, "object": {"key": key, "size": 3, "etag": "e"}}})
}

fn batch(body: &Value) -> Value {
    let body = body.to_string();
    json!({"Records": [{"eventSource": "aws:sqs", "messageId": "m", "body": body, "attributes": {}}]})
}

/// G7: messages that the function has fetched itself are deleted only after their mail.
#[tokio::test(flavor = "multi_thread")]
async fn a_fetched_message_whose_mail_could_not_be_published_stays_in_the_queue() {
    let bench = Bench::new().await;
    bench.set_visibility("2").await;
    let fetched = event("ticks/dt=2026-11-21/hr=05/fetched.parquet").to_string();
    bench
        .sqs
        .send_message()
        .queue_url(&bench.queue)
        .message_body(fetched)
        .send()
        .await
        .expect("SendMessage");
    let topic_arn = "arn:aws:sns:us-east-1:000000000000:mails".to_owned();
    let settings = Settings {
        topic_arn: topic_arn.clone(),
        queue_url: bench.queue.clone(),
        database: "d".to_owned(),
        table: "t".to_owned(),
        workgroup: "w".to_owned(),
    };
    let function = Notify::new(bench.ministack.aws.config(), settings);
    let handle = async |function: &Notify| {
        let payload = batch(&event("ticks/dt=2026-11-21/hr=05/handed.parquet"));
        let response = function
            .handle(payload, Deadline::after(Duration::from_secs(30)))
            .await
            .expect("a batch response");
        response.batch_item_failures.len()
    };
    // There is no such topic yet.
    assert_eq!(handle(&function).await, 1);
    assert_eq!(
        bench.messages().await.0,
        1,
        "the fetched message is gone, and no mail has told of it"
    );
    wait_until("the fetched message", Duration::from_secs(30), async || {
        Ok(bench.messages().await == (1, 1))
    })
    .await
    .expect("it comes back");
    bench.set_visibility("60").await;
    let topic = bench
        .sns
        .create_topic()
        .name("mails")
        .send()
        .await
        .expect("CreateTopic");
    assert_eq!(topic.topic_arn(), Some(topic_arn.as_str()));
    assert_eq!(handle(&function).await, 0);
    assert_eq!(
        bench.messages().await.0,
        0,
        "the fetched message is announced, and not deleted"
    );
    bench.processes.stop_all().await;
}

/// A gauge was written again by each invocation of a warm environment, and the alarm
/// stuck.
#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_are_a_metric_only_of_the_invocation_that_counted_them() {
    let bench = Bench::new().await;
    let topic = bench
        .sns
        .create_topic()
        .name("mails")
        .send()
        .await
        .expect("CreateTopic")
        .topic_arn()
        .expect("an ARN")
        .to_owned();
    bench
        .sns
        .subscribe()
        .topic_arn(&topic)
        .protocol("email")
        .endpoint("a@example.com")
        .send()
        .await
        .expect("Subscribe");
    let settings = [
        ("TOPIC_ARN", topic.as_str()),
        ("QUEUE_URL", &bench.queue),
        ("GLUE_DATABASE", "d"),
        ("GLUE_TABLE", "t"),
        ("ATHENA_WORKGROUP", "w"),
    ];
    let settings = settings.map(|(name, value)| (name, value.to_owned()));
    let environment: Vec<(String, String)> = bench
        .ministack
        .aws
        .environment()
        .into_iter()
        .chain(settings)
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    let log = bench.folder.path().join("function.log");
    let bootstrap = Path::new(env!("CARGO_BIN_EXE_notify"));
    let mut function = FunctionProcess::start(&bench.processes, bootstrap, &environment, &log)
        .await
        .expect("a function");
    for body in [
        event("ticks/dt=2026-11-21/hr=05/a.parquet"),
        json!({"Event": "s3:TestEvent"}),
    ] {
        let answer = function
            .invoke(&batch(&body))
            .await
            .expect("an answer")
            .expect("a batch response");
        assert_eq!(answer["batchItemFailures"], json!([]), "{body}");
    }
    function.stop().await.expect("a stop");
    let said = std::fs::read_to_string(&log).expect("a log");
    let lines = said
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let metrics: Vec<Value> = lines.filter(|line| line["_aws"].is_object()).collect();
    assert_eq!(
        (metrics.len(), &metrics[0]["Subscriptions"]),
        (2, &json!([1.0])),
        "{said}"
    );
    assert_eq!(
        (&metrics[1]["Ignored"], metrics[1].get("Subscriptions")),
        (&json!(1), None),
        "{said}"
    );
    bench.processes.stop_all().await;
}

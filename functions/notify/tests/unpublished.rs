//! G7: an object whose mail could not be published stays in its queue.

#![allow(clippy::expect_used, reason = "a test says what it expected")]

use std::time::Duration;

use aws_sdk_sns::config::{Credentials, Region, SharedCredentialsProvider};
use function::{Deadline, EventFunction as _};
use notify::{Notify, Settings};
use serde_json::{Value, json};

#[tokio::test]
async fn messages_whose_mail_could_not_be_published_are_returned_as_failed() {
    // Nothing listens there: neither S3 nor SNS answers.
    let loader = aws_connect::loader(Duration::from_secs(2))
        .endpoint_url("http://127.0.0.1:1")
        .region(Region::new("us-east-1"));
    let credentials =
        SharedCredentialsProvider::new(Credentials::new("test", "test", None, None, "test"));
    let config = loader.credentials_provider(credentials).load().await;
    let queue_url = "http://127.0.0.1:1/000000000000/q".to_owned();
    let settings = Settings {
        topic_arn: "arn:aws:sns:us-east-1:000000000000:t".to_owned(),
        queue_url,
        database: "d".to_owned(),
        table: "t".to_owned(),
        workgroup: "w".to_owned(),
    };
    let function = Notify::new(&config, settings);
    let deadline = || Deadline::after(Duration::from_secs(12));
    let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/../../events/");
    let payload = |name: &str| -> Value {
        serde_json::from_str(
            &std::fs::read_to_string(format!("{samples}{name}")).expect("a sample"),
        )
        .expect("JSON")
    };
    let response = function
        .handle(payload("sqs-eventbridge-object-created.json"), deadline())
        .await
        .expect("a batch response");
    let failed =
        json!({"batchItemFailures": [{"itemIdentifier": "00000001-1111-4222-8333-444455556666"}]});
    assert_eq!(serde_json::to_value(response).expect("JSON"), failed);
    let response = function
        .handle(payload("sqs-s3-test-event.json"), deadline())
        .await
        .expect("a batch response");
    assert_eq!(
        serde_json::to_value(response).expect("JSON"),
        json!({"batchItemFailures": []}),
        "nothing to publish, nothing to fail"
    );
}

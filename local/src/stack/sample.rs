//! Objects, events and functions for tests and benchmarks, and the parameters of a stack
//! for them.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use lake::{Format, ObjectMetadata};
use serde_json::{Value, json};

use crate::{Aws, FunctionProcess, Parameters, Repository, Stack, Workspace};

/// Topic and partitions of the local stack.
pub const TOPIC: (&str, i32) = ("ticks", 4);
/// Address of the mails.
pub const SUBSCRIBER: &str = "you@example.com";
/// Brokers of a stack without running agents.
const NO_KAFKA: &str = "127.0.0.1:9";

/// Returns the template's defaults, for a stack without running agents.
pub fn parameters() -> Parameters {
    Parameters {
        format: Format::Parquet,
        crawler_mode: "typed".into(),
        subscriber: SUBSCRIBER.into(),
        kafka: NO_KAFKA.into(),
        more: Vec::new(),
    }
}

/// Returns a function's bootstrap from `sam build`.
pub fn bootstrap(repository: &Repository, function: &str) -> PathBuf {
    let built = match function {
        "notify" => "NotifyFunction",
        "curate" => "CurateFunction",
        _ => "StartCrawlerFunction",
    };
    repository
        .path(".aws-sam/build")
        .join(built)
        .join("bootstrap")
}

/// Starts a function as a process outside its stack, with the template's variables and
/// more.
///
/// # Errors
/// It cannot be started.
pub async fn function(
    stack: &Stack,
    workspace: &Workspace,
    function: &str,
    more: &[(&str, &str)],
    log: &Path,
) -> Result<FunctionProcess> {
    let mut environment = stack.function_environment()?;
    environment.extend(
        more.iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    );
    let environment: Vec<(String, String)> = environment.into_iter().collect();
    FunctionProcess::start(
        &workspace.processes,
        &bootstrap(&workspace.repository, function),
        &environment,
        log,
    )
    .await
}

/// Puts a small object with the metadata of one tick. Returns its ETag and version id.
///
/// # Errors
/// S3 refuses.
pub async fn put(aws: &Aws, bucket: &str, key: &str) -> Result<(String, Option<String>)> {
    let metadata = ObjectMetadata {
        rows: 1,
        event_times: None,
        reasons: [].into(),
        attempt: None,
        lost_below: None,
        skipped: 0,
    };
    let put = aws_sdk_s3::Client::new(aws.config())
        .put_object()
        .bucket(bucket)
        .key(key)
        .set_metadata(Some(metadata.to_map()));
    let answer = put
        .body(b"one".to_vec().into())
        .send()
        .await
        .with_context(|| format!("PutObject {key}"))?;
    Ok((
        answer
            .e_tag()
            .unwrap_or_default()
            .trim_matches('"')
            .to_owned(),
        answer.version_id().map(str::to_owned),
    ))
}

/// Returns EventBridge's event of an object.
pub fn event(bucket: &str, key: &str, etag: &str, version: Option<&str>) -> Value {
    let mut object =
        json!({"key": key, "size": 3, "etag": etag, "sequencer": "0061A7C3A2B4D5E6F7"});
    if let Some(version) = version {
        object["version-id"] = version.into();
    }
    json!({
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "account": "000000000000",
        "time": "2026-11-21T05:00:01Z",
        "region": "us-east-1",
        "resources": [format!("arn:aws:s3:::{bucket}")],
        "detail": {
            "version": "0",
            "bucket": {"name": bucket},
            "object": object,
            "reason": "PutObject",
        },
    })
}

/// Returns the payload that Lambda gives a function for a batch of messages.
pub fn batch(bodies: impl IntoIterator<Item = Value>) -> Value {
    let records = bodies.into_iter().enumerate().map(|(place, body)| {
        json!({
            "messageId": format!("m{place}"),
            "receiptHandle": format!("r{place}"),
            "body": body.to_string(),
            "eventSource": "aws:sqs",
            "attributes": {"SentTimestamp": "1795237201234"},
            "messageAttributes": {},
            "awsRegion": "us-east-1",
        })
    });
    json!({"Records": records.collect::<Vec<_>>()})
}

/// Returns the failed messages in an answer.
///
/// # Errors
/// The answer is not a batch response.
pub fn failed(answer: &Value) -> Result<Vec<&str>> {
    let failures = answer["batchItemFailures"]
        .as_array()
        .with_context(|| format!("not a batch response: {answer}"))?;
    Ok(failures
        .iter()
        .filter_map(|failure| failure["itemIdentifier"].as_str())
        .collect())
}

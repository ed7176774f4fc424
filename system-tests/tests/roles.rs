//! The functions in their deployed roles, with IAM enforcement.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use aws_sdk_sqs::types::QueueAttributeName;
use jiff::{Timestamp, ToSpan as _};
use lake::Format;
use local::{RawTicks, Role, Stack, sample, wait_until};
use serde_json::{Value, json};
use system_tests::{Workspace, expect_known, send, set_attribute};
use tokio::time::sleep;

/// The time limit for a function to meet a missing permission.
const EFFECT_TIMEOUT: Duration = Duration::from_secs(30);
/// Objects at once, so that some are left in the queue for the function to fetch.
const BURST: u32 = 40;

/// 2026-11-20T00:00:00Z.
const DAY_MS: i64 = 1_795_132_800_000;

/// An action, and the texts in one line of the function's log if it is taken away.
type Needed = (&'static str, &'static [&'static str]);

/// Every action of the functions' roles, by the output that names the role.
const NEEDED: [(&str, &[Needed]); 2] = [
    (
        "StartCrawlerRoleName",
        &[
            (
                "glue:GetCrawler",
                &["GetCrawler ticklake-ticks: ", "not authorized"],
            ),
            (
                "glue:BatchGetPartition",
                &["BatchGetPartition ticklake.ticks: ", "not authorized"],
            ),
            (
                "glue:StartCrawler",
                &["StartCrawler ticklake-ticks: ", "not authorized"],
            ),
            (
                "s3:ListBucket",
                &[
                    "cannot look for objects; they count as present",
                    "without-s3:ListBucket.parquet: ",
                    "AccessDenied",
                ],
            ),
        ],
    ),
    (
        "NotifyRoleName",
        &[
            (
                "sqs:ReceiveMessage",
                &[
                    "cannot look for more messages",
                    "ReceiveMessage http",
                    "not authorized",
                ],
            ),
            (
                "sqs:DeleteMessage",
                &[
                    "DeleteMessageBatch; their objects will be announced again",
                    "not authorized",
                ],
            ),
            (
                "sns:Publish",
                &[
                    "cannot publish, the messages come back later",
                    "not authorized",
                ],
            ),
            (
                "sns:GetTopicAttributes",
                &["cannot count the topic's subscriptions", "not authorized"],
            ),
            (
                "s3:GetObject",
                &["cannot HEAD the object", "without-s3:GetObject.parquet"],
            ),
            (
                "s3:GetObjectVersion",
                &[
                    "cannot HEAD the object",
                    "without-s3:GetObjectVersion.parquet",
                ],
            ),
        ],
    ),
];

/// The actions of Lambda and SNS in the function's name, which ministack does without
/// asking the role.
const NOT_ASKED: [&str; 7] = [
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "sqs:GetQueueAttributes",
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage",
    "kms:Decrypt",
    "kms:GenerateDataKey",
];

/// Every action of curate's role that ministack asks for, with the state in which it is
/// needed.
const NEEDED_BY_CURATE: [(&str, Needs, &[&str]); 9] = [
    (
        "s3:ListBucket",
        Needs::Look,
        &["ListObjectsV2 s3://", "AccessDenied"],
    ),
    (
        "glue:BatchGetPartition",
        Needs::Look,
        &[
            "BatchGetPartition ticklake.curated_ticks: ",
            "not authorized",
        ],
    ),
    (
        "s3:PutObject",
        Needs::Look,
        &["PutObject s3://", "plan.json: AccessDenied"],
    ),
    (
        "sqs:SendMessage",
        Needs::Look,
        &["SendMessageBatch http", "not authorized"],
    ),
    (
        "s3:GetObject",
        Needs::Look,
        &["GetObject s3://", "AccessDenied"],
    ),
    (
        "glue:GetTable",
        Needs::Look,
        &["GetTable ticklake.curated_ticks: ", "not authorized"],
    ),
    (
        "glue:BatchCreatePartition",
        Needs::Look,
        &[
            "BatchCreatePartition ticklake.curated_ticks: ",
            "not authorized",
        ],
    ),
    (
        "glue:BatchUpdatePartition",
        Needs::LateTick,
        &[
            "BatchUpdatePartition ticklake.curated_ticks: ",
            "not authorized",
        ],
    ),
    (
        "s3:PutObjectTagging",
        Needs::LateTick,
        &["PutObjectTagging s3://", "AccessDenied"],
    ),
];

/// The state in which a look of curate meets a missing permission.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    /// An hour that is not curated.
    Look,
    /// An hour that is curated, and a tick that has come since.
    LateTick,
}

/// Takes each action from the functions' roles in turn, on a stack with IAM enforcement,
/// and looks for the failure that has to follow (G9). With all of them back, an object is
/// crawled and announced. At last the topic goes, and the function says so.
#[tokio::test(flavor = "multi_thread")]
async fn each_permission_of_the_functions_is_needed() -> Result<()> {
    Workspace::run("roles", async |work| {
        let stack = work
            .deploy(work.ministack().await?, sample::parameters())
            .await?;
        each_action_is_needed(&stack).await?;
        each_action_of_curate_is_needed(&stack).await?;
        all_is_well(&stack).await?;
        a_topic_that_is_gone_is_named(&stack).await
    })
    .await
}

async fn each_action_is_needed(stack: &Stack) -> Result<()> {
    let bucket = stack.deployment.output("LakeBucket")?;
    for (hour, (output, needed)) in NEEDED.into_iter().enumerate() {
        let role = Role::read(&stack.ministack.aws, stack.deployment.output(output)?).await?;
        expect_known(&role, |action| {
            needed.iter().any(|(needed, _)| *needed == action) || NOT_ASKED.contains(&action)
        })?;
        for (number, (action, said)) in needed.iter().enumerate() {
            role.without(action).await?;
            let partition = format!("ticks/dt=2026-11-21/hr={:02}", 10 * hour + number);
            meet(stack, bucket, &partition, action, said)
                .await
                .with_context(|| format!("without {action}"))?;
            role.restore().await?;
            println!("     without {action}: {}", said.join(" … "));
        }
    }
    Ok(())
}

/// Curates an hour without each action in turn, and with all of them in the end.
async fn each_action_of_curate_is_needed(stack: &Stack) -> Result<()> {
    let aws = &stack.ministack.aws;
    retire_at_once(stack).await?;
    let role = Role::read(aws, stack.deployment.output("CurateRoleName")?).await?;
    expect_known(&role, |action| {
        let mut needed = NEEDED_BY_CURATE.iter();
        needed.any(|(needed, ..)| *needed == action) || NOT_ASKED.contains(&action)
    })?;
    for (hour, (action, needs, said)) in (0..).zip(NEEDED_BY_CURATE) {
        put_tick(stack, hour, 0).await?;
        if needs == Needs::LateTick {
            expect_curated(stack, hour).await?;
            put_tick(stack, hour, 1).await?;
        }
        role.without(action).await?;
        let log = Log::from_here(stack)?;
        let met = wait_until("a refusal", EFFECT_TIMEOUT, async || {
            // It fails, or its worker will.
            let _ = look(stack, hour).await;
            Ok(log.line(said)?.is_some())
        });
        met.await.with_context(|| format!("without {action}"))?;
        role.restore().await?;
        println!("     without {action}: {}", said.join(" … "));
    }
    expect_curated(stack, 10).await
}

/// Has curate tag older versions as soon as a newer one is committed, and not a day later.
async fn retire_at_once(stack: &Stack) -> Result<()> {
    let aws = &stack.ministack.aws;
    let function = stack.deployment.output("CurateFunctionName")?;
    let name = json!({ "FunctionName": function });
    let settings = aws.call("lambda", "get_function_configuration", &name);
    let mut environment = settings.await?["Environment"].take();
    environment["Variables"]["CURATE_RETIRE_HOURS"] = json!("0");
    let update = json!({"FunctionName": function, "Environment": environment});
    aws.call("lambda", "update_function_configuration", &update)
        .await?;
    Ok(())
}

/// Puts a raw object into an hour of the day before the other objects of this test.
async fn put_tick(stack: &Stack, hour: i64, first_offset: i64) -> Result<()> {
    let raw = RawTicks {
        format: Format::Parquet,
        first_ms: DAY_MS + 3_600_000 * hour,
        partition: 0,
        first_offset,
        ticks: &[("A", 1.0)],
    };
    let bucket = stack.deployment.output("LakeBucket")?;
    raw.put(&stack.ministack.aws, bucket).await.map(|_| ())
}

/// Has curate look at an hour, and close it at once.
async fn look(stack: &Stack, hour: i64) -> Result<Value> {
    let from = Timestamp::from_millisecond(DAY_MS + 3_600_000 * hour)?;
    let to = from + 1.hour();
    let plan = json!({"from": from.to_string(), "to": to.to_string(), "through": to.to_string()});
    let function = stack.deployment.output("CurateFunctionName")?;
    let event = json!({ "plan": plan });
    stack.ministack.aws.invoke(function, &event).await
}

async fn expect_curated(stack: &Stack, hour: i64) -> Result<()> {
    let log = Log::from_here(stack)?;
    put_tick(stack, hour, 0).await?;
    wait_until(
        "a curated hour, with all permissions",
        EFFECT_TIMEOUT,
        async || Ok(look(stack, hour).await?["curated"] == 1),
    )
    .await?;
    for refusal in ["not authorized", "AccessDenied"] {
        let refused = log.line(&[refusal])?;
        ensure!(
            refused.is_none(),
            "refused with all permissions: {refused:?}"
        );
    }
    Ok(())
}

async fn a_topic_that_is_gone_is_named(stack: &Stack) -> Result<()> {
    let (bucket, topic) = (
        stack.deployment.output("LakeBucket")?,
        stack.deployment.output("NewFilesTopicArn")?,
    );
    let log = Log::from_here(stack)?;
    aws_sdk_sns::Client::new(stack.ministack.aws.config())
        .delete_topic()
        .topic_arn(topic)
        .send()
        .await
        .context("DeleteTopic")?;
    sample::put(
        &stack.ministack.aws,
        bucket,
        "ticks/dt=2026-11-21/hr=00/without-topic.parquet",
    )
    .await?;
    log.wait_for(&[&format!(
        "the topic {topic} does not exist; deploy the stack again"
    )])
    .await
}

/// Triggers an action, and waits until the function reports that it cannot.
async fn meet(
    stack: &Stack,
    bucket: &str,
    partition: &str,
    action: &str,
    said: &[&str],
) -> Result<()> {
    let log = Log::from_here(stack)?;
    let key = format!("{partition}/without-{action}.parquet");
    match action {
        "sqs:DeleteMessage" => {
            for n in 0..BURST {
                sample::put(
                    &stack.ministack.aws,
                    bucket,
                    &format!("{partition}/{n}.parquet"),
                )
                .await?;
            }
        }
        "s3:ListBucket" => come_back(stack, bucket, &key).await?,
        "s3:GetObjectVersion" => put_version(stack, bucket, &key).await?,
        _ => drop(sample::put(&stack.ministack.aws, bucket, &key).await?),
    }
    log.wait_for(said).await
}

/// Sends the event of an object that is not there, which no crawl covers, so that the
/// function looks for it when its message comes back.
async fn come_back(stack: &Stack, bucket: &str, key: &str) -> Result<()> {
    let sqs = aws_sdk_sqs::Client::new(stack.ministack.aws.config());
    let queue = stack.deployment.output("CrawlQueueUrl")?;
    set_attribute(&sqs, queue, QueueAttributeName::VisibilityTimeout, "2").await?;
    let event = sample::event(bucket, key, "e", None).to_string();
    send(&sqs, queue, &event).await
}

/// Puts an object into a bucket with versions, and sends the event that S3 sends then:
/// ministack leaves the version out.
async fn put_version(stack: &Stack, bucket: &str, key: &str) -> Result<()> {
    let versioning = VersioningConfiguration::builder()
        .status(BucketVersioningStatus::Enabled)
        .build();
    let s3 = aws_sdk_s3::Client::new(stack.ministack.aws.config());
    s3.put_bucket_versioning()
        .bucket(bucket)
        .versioning_configuration(versioning)
        .send()
        .await
        .context("PutBucketVersioning")?;
    let (etag, version) = sample::put(&stack.ministack.aws, bucket, key).await?;
    let event = sample::event(
        bucket,
        key,
        &etag,
        Some(&version.context("the object has no version")?),
    );
    let sqs = aws_sdk_sqs::Client::new(stack.ministack.aws.config());
    let queue = stack.deployment.output("NotifyQueueUrl")?;
    send(&sqs, queue, &event.to_string()).await
}

/// With every permission in place: the mails know the rows, a mail tells of the curated
/// hour, the partition comes into the catalog, and nothing is refused.
async fn all_is_well(stack: &Stack) -> Result<()> {
    let bucket = stack.deployment.output("LakeBucket")?;
    let log = Log::from_here(stack)?;
    for n in 0..BURST {
        sample::put(
            &stack.ministack.aws,
            bucket,
            &format!("ticks/dt=2026-11-22/hr=05/{n}-allowed.parquet"),
        )
        .await?;
    }
    wait_until(
        "the mails and the crawl, with all permissions",
        EFFECT_TIMEOUT,
        async || {
            let mails = stack.mailbox.mails();
            let is_told = |n| {
                mails.iter().any(|mail| {
                    mail.body
                        .contains(&format!("  {n}-allowed.parquet    1 tick    "))
                })
            };
            // The hour that was curated before, with all permissions.
            let hour = ["2026-11-20", "10"].map(str::to_owned);
            let has_hour = mails.iter().any(|mail| mail.hours().contains(&hour));
            Ok((0..BURST).all(is_told) && has_hour && stack.crawls.crawls() > 0)
        },
    )
    .await?;
    // The steps after a mail: the hold, the messages' deletion, and the log of it.
    sleep(Duration::from_secs(3)).await;
    for refusal in ["not authorized", "AccessDenied", "cannot HEAD the object"] {
        let refused = log.line(&[refusal])?;
        ensure!(
            refused.is_none(),
            "refused with all permissions: {refused:?}"
        );
    }
    Ok(())
}

/// The functions' output from some moment on.
struct Log<'a> {
    path: &'a Path,
    from: usize,
}

impl<'a> Log<'a> {
    fn from_here(stack: &'a Stack) -> Result<Self> {
        let path = stack.ministack.log.as_path();
        Ok(Self {
            path,
            from: std::fs::metadata(path)?.len() as usize,
        })
    }

    /// Returns the first line with all of these words.
    fn line(&self, words: &[&str]) -> Result<Option<String>> {
        let text = std::fs::read(self.path)?;
        let new = String::from_utf8_lossy(text.get(self.from..).unwrap_or_default()).into_owned();
        Ok(new
            .lines()
            .find(|line| words.iter().all(|word| line.contains(word)))
            .map(str::to_owned))
    }

    /// Waits for a line with all of these words.
    async fn wait_for(&self, words: &[&str]) -> Result<()> {
        wait_until(
            &format!("a line with {words:?} in {}", self.path.display()),
            EFFECT_TIMEOUT,
            async || Ok(self.line(words)?.is_some()),
        )
        .await
    }
}

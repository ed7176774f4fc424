use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use local::{Ministack, Processes, Repository, Role, Stack, Tools};
use tokio::time::{Instant, sleep};

use super::checks::Counts;
use crate::sample;

/// How long a function may take to meet what it may not do.
const PATIENCE: Duration = Duration::from_secs(30);
/// Objects at once, so that some are left in the queue for the function to fetch.
const BURST: u32 = 40;

/// Every action of the functions' roles, and what stands in one line of the function's log when it is taken away.
const NEEDED: [(&str, &str, &[&str]); 8] = [
    ("StartCrawlerRoleName", "glue:GetCrawler", &["GetCrawler ticklake-ticks: ", "not authorized"]),
    ("StartCrawlerRoleName", "glue:BatchGetPartition", &["BatchGetPartition ticklake.ticks: ", "not authorized"]),
    ("StartCrawlerRoleName", "glue:StartCrawler", &["StartCrawler ticklake-ticks: ", "not authorized"]),
    ("NotifyRoleName", "sqs:ReceiveMessage", &["cannot look for more messages", "ReceiveMessage http", "not authorized"]),
    ("NotifyRoleName", "sqs:DeleteMessage", &["DeleteMessageBatch; their objects will be announced again", "not authorized"]),
    ("NotifyRoleName", "sns:Publish", &["cannot publish, the messages come back later", "not authorized"]),
    ("NotifyRoleName", "s3:GetObject", &["cannot HEAD the object", "without-s3:GetObject.parquet"]),
    ("NotifyRoleName", "s3:GetObjectVersion", &["cannot HEAD the object", "without-s3:GetObjectVersion.parquet"]),
];

/// What Lambda itself does in the function's name, which ministack does without asking the role.
const LAMBDAS_OWN: [&str; 5] =
    ["logs:CreateLogStream", "logs:PutLogEvents", "sqs:GetQueueAttributes", "sqs:ReceiveMessage", "sqs:DeleteMessage"];

/// Takes each action from the functions' roles in turn, on a stack with IAM enforcement, and looks for the failure that has to follow (G9).
/// With all of them back, an object is crawled and announced. At last the topic goes, and the function says so.
pub(crate) async fn check(repository: &Repository, tools: &Tools, processes: &Processes, folder: &Path) -> Result<Counts> {
    let folder = folder.join("roles");
    std::fs::create_dir_all(&folder)?;
    let ministack = Ministack::start(tools, processes, &folder).await?;
    let stack = sample::deploy(ministack, repository, tools, processes, &folder).await?;
    let bucket = stack.deployment.output("LakeBucket")?;
    for output in ["StartCrawlerRoleName", "NotifyRoleName"] {
        let role = Role::read(&stack.ministack.aws, stack.deployment.output(output)?).await?;
        let needed: Vec<&str> = NEEDED.iter().filter(|(of, _, _)| *of == output).map(|(_, action, _)| *action).collect();
        let unknown =
            role.actions().into_iter().find(|action| !needed.contains(&action.as_str()) && !LAMBDAS_OWN.contains(&action.as_str()));
        ensure!(unknown.is_none(), "{output} allows {unknown:?}, and nothing here shows that it is needed");
    }
    let mut passed = 0;
    for (hour, (output, action, said)) in NEEDED.into_iter().enumerate() {
        let role = Role::read(&stack.ministack.aws, stack.deployment.output(output)?).await?;
        role.without(action).await?;
        let outcome = async {
            let log = Log::from_here(&stack)?;
            let key = |name: &str| format!("ticks/dt=2026-11-21/hr={hour:02}/{name}.parquet");
            let name = format!("without-{action}");
            match action {
                "sqs:DeleteMessage" => {
                    for n in 0..BURST {
                        sample::put(&stack.ministack.aws, bucket, &key(&format!("{n}"))).await?;
                    }
                }
                "s3:GetObjectVersion" => put_version(&stack, bucket, &key(&name)).await?,
                _ => drop(sample::put(&stack.ministack.aws, bucket, &key(&name)).await?),
            }
            log.wait_for(said).await
        };
        outcome.await.with_context(|| format!("without {action}"))?;
        role.restore().await?;
        println!("     without {action}: {}", said.join(" … "));
        passed += 1;
    }
    all_is_well(&stack, bucket).await?;
    let topic = stack.deployment.output("NewFilesTopicArn")?;
    let log = Log::from_here(&stack)?;
    aws_sdk_sns::Client::new(stack.ministack.aws.config()).delete_topic().topic_arn(topic).send().await.context("DeleteTopic")?;
    sample::put(&stack.ministack.aws, bucket, "ticks/dt=2026-11-21/hr=00/without-topic.parquet").await?;
    log.wait_for(&[&format!("the topic {topic} does not exist; deploy the stack again")]).await?;
    Ok(Counts { passed: passed + 2, failed: 0 })
}

/// Puts an object into a bucket with versions, and sends the event that S3 sends then: ministack leaves the version out.
async fn put_version(stack: &Stack, bucket: &str, key: &str) -> Result<()> {
    let versioning = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    let s3 = aws_sdk_s3::Client::new(stack.ministack.aws.config());
    s3.put_bucket_versioning().bucket(bucket).versioning_configuration(versioning).send().await.context("PutBucketVersioning")?;
    let (etag, version) = sample::put(&stack.ministack.aws, bucket, key).await?;
    let event = sample::event(bucket, key, &etag, Some(&version.context("the object has no version")?));
    let sqs = aws_sdk_sqs::Client::new(stack.ministack.aws.config());
    let queue = stack.deployment.output("NotifyQueueUrl")?;
    sqs.send_message().queue_url(queue).message_body(event.to_string()).send().await.context("SendMessage")?;
    Ok(())
}

/// With every permission in place: the mails know the rows, the partition comes into the catalog, and nothing is refused.
async fn all_is_well(stack: &Stack, bucket: &str) -> Result<()> {
    let log = Log::from_here(stack)?;
    for n in 0..BURST {
        sample::put(&stack.ministack.aws, bucket, &format!("ticks/dt=2026-11-22/hr=05/{n}-allowed.parquet")).await?;
    }
    let deadline = Instant::now() + PATIENCE;
    let told = || {
        let mails = stack.mailbox.mails();
        (0..BURST).filter(|n| mails.iter().any(|mail| mail.body.contains(&format!("  {n}-allowed.parquet    1 tick    ")))).count()
    };
    while told() < BURST as usize || stack.crawls.crawls() == 0 {
        ensure!(
            Instant::now() < deadline,
            "with all permissions: {} of {BURST} objects in mails, {} crawls",
            told(),
            stack.crawls.crawls()
        );
        sleep(Duration::from_millis(100)).await;
    }
    // What follows a mail: the hold, the messages' deletion, and the log of it.
    sleep(Duration::from_secs(3)).await;
    let refused = log.line(&["not authorized"])?;
    ensure!(refused.is_none(), "refused with all permissions: {refused:?}");
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
        Ok(Self { path, from: std::fs::metadata(path)?.len() as usize })
    }

    /// Returns the first line with all of these words.
    fn line(&self, words: &[&str]) -> Result<Option<String>> {
        let text = std::fs::read(self.path)?;
        let new = String::from_utf8_lossy(text.get(self.from..).unwrap_or_default()).into_owned();
        Ok(new.lines().find(|line| words.iter().all(|word| line.contains(word))).map(str::to_owned))
    }

    /// Waits for a line with all of these words.
    async fn wait_for(&self, words: &[&str]) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while self.line(words)?.is_none() {
            ensure!(Instant::now() < deadline, "no line with {words:?} in {} after {} s", self.path.display(), PATIENCE.as_secs());
            sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }
}

//! The functions as `sam build` leaves them, each behind a runtime API of our own.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use aws_sdk_s3::primitives::DateTimeFormat;
use aws_sdk_sqs::types::QueueAttributeName;
use curation::{Outcome, Reason, Register, RegisterKey, Summary};
use lake::LakePartition;
use local::arrivals::listed;
use local::{Conditions, Fault, FaultProxy, FunctionProcess, Mailbox, Stack, sample, wait_until};
use serde_json::{Value, json};
use system_tests::{Workspace, send, set_attribute, waiting};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

const LAKE: &str = "ticklake-lake";
/// How long a mail may take to the mailbox.
const MAIL_TIMEOUT: Duration = Duration::from_secs(10);

struct Functions<'a> {
    work: &'a Workspace,
    stack: &'a Stack,
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_as_they_are_deployed() -> Result<()> {
    Workspace::run("functions", scenarios).await
}

async fn scenarios(work: &Workspace) -> Result<()> {
    let stack = &work
        .deploy(work.ministack().await?, sample::parameters())
        .await?;
    let functions = Functions { work, stack };
    functions.settings().await.context("settings")?;
    // As docs/operations.md says.
    let warnings = functions.subscribe("warnings", "dead-letter").await?;
    let hours = functions.subscribe("hours", "hour").await?;
    functions.panics().await.context("a panic")?;
    functions
        .a_thousand_messages()
        .await
        .context("a thousand messages")?;
    functions.hours(&hours).await.context("complete hours")?;
    functions.no_crawler().await.context("no crawler")?;
    functions.every_file().await.context("every file")?;
    functions
        .trouble_with_sns()
        .await
        .context("SNS in trouble")?;
    tokio::try_join!(
        functions.silence("notify", "SNS", &["m0"]),
        functions.silence("notify", "S3", &[]),
        functions.silence("notify", "SQS", &[]),
        functions.silence("start-crawler", "GLUE", &["m0"]),
    )?;
    functions
        .dead_letters()
        .await
        .context("the queues' limit")?;
    // At the end, so that no mail is still on its way.
    let subjects: Vec<String> = warnings
        .mails()
        .into_iter()
        .map(|mail| mail.subject)
        .collect();
    ensure!(
        subjects == ["[ticklake] 2 dead-letter files"],
        "a subscriber to warnings alone got {subjects:?}"
    );
    Ok(())
}

impl Functions<'_> {
    /// Subscribes to the mails of one kind alone.
    async fn subscribe(&self, name: &str, kind: &str) -> Result<Mailbox> {
        let topic = self.stack.deployment.output("NewFilesTopicArn")?;
        let filter = json!({"kind": [kind]}).to_string();
        let folder = self.work.folder.join(name);
        Mailbox::open(&self.stack.ministack.aws, topic, folder, Some(&filter)).await
    }

    async fn start(
        &self,
        function: &str,
        name: &str,
        more: &[(&str, &str)],
    ) -> Result<FunctionProcess> {
        let log = self.work.folder.join(format!("{function}-{name}.log"));
        sample::function(self.stack, self.work, function, more, &log).await
    }

    /// A missing or malformed setting ends the function at once, and its last line names
    /// it.
    async fn settings(&self) -> Result<()> {
        let cases = [
            (
                "notify",
                "TOPIC_ARN",
                "",
                "environment variable TOPIC_ARN is not set",
            ),
            (
                "notify",
                "QUEUE_URL",
                "",
                "environment variable QUEUE_URL is not set",
            ),
            (
                "notify",
                "GLUE_DATABASE",
                "",
                "environment variable GLUE_DATABASE is not set",
            ),
            (
                "notify",
                "GLUE_TABLE",
                "",
                "environment variable GLUE_TABLE is not set",
            ),
            (
                "notify",
                "ATHENA_WORKGROUP",
                "",
                "environment variable ATHENA_WORKGROUP is not set",
            ),
            (
                "start-crawler",
                "CRAWLER_NAME",
                "",
                "environment variable CRAWLER_NAME is not set",
            ),
            (
                "start-crawler",
                "GLUE_DATABASE",
                "",
                "environment variable GLUE_DATABASE is not set",
            ),
            (
                "start-crawler",
                "GLUE_TABLE",
                "",
                "environment variable GLUE_TABLE is not set",
            ),
            (
                "start-crawler",
                "CRAWL_ON",
                "",
                "environment variable CRAWL_ON is not set",
            ),
            (
                "start-crawler",
                "CRAWL_ON",
                "sometimes",
                "CRAWL_ON is \\\"sometimes\\\"; wanted new-partition or every-file",
            ),
        ];
        for (function, variable, value, wanted) in cases {
            let mut command = Command::new(sample::bootstrap(&self.work.repository, function));
            command
                .env_clear()
                .envs(self.stack.function_environment()?)
                .env(variable, value)
                .env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1");
            let log = self.work.folder.join("settings.log");
            let outcome = tokio::time::timeout(
                Duration::from_secs(10),
                self.work.processes.run(function, &mut command, &log),
            )
            .await;
            ensure!(
                outcome.context("it did not end")?.is_err(),
                "{function} started without {variable}"
            );
            let said = std::fs::read_to_string(&log)?;
            ensure!(
                said.lines().count() == 1 && said.contains(wanted),
                "{function} without {variable} said: {said}"
            );
        }
        Ok(())
    }

    /// A message that makes the function panic fails alone (G8): the release build
    /// unwinds.
    async fn panics(&self) -> Result<()> {
        for function in ["notify", "start-crawler"] {
            let mut process = self
                .start(function, "panics", &[("TICKLAKE_PANIC_ON", "bang")])
                .await?;
            let keys = ["quiet", "bang", "calm"]
                .map(|name| format!("dead-letter/dt=2026-11-21/hr=05/{name}.json.gz"));
            let answer = process
                .invoke(&sample::batch(
                    keys.iter().map(|key| sample::event(LAKE, key, "e", None)),
                ))
                .await?;
            let answer = answer.map_err(anyhow::Error::msg)?;
            ensure!(
                sample::failed(&answer)? == ["m1"],
                "{function} answered {answer}"
            );
            process.stop().await?;
        }
        self.announced(&["quiet.json.gz", "calm.json.gz"], &["bang.json.gz"])
            .await
    }

    /// As many messages as Lambda hands over at most, some of them twice: every object in
    /// a mail, once.
    async fn a_thousand_messages(&self) -> Result<()> {
        let key = |n: usize| format!("ticks/dt=2026-11-23/hr={:02}/{n:03}.parquet", n % 24);
        let batch = sample::batch((0..1000).map(|n| sample::event(LAKE, &key(n % 950), "e", None)));
        let mut process = self.start("notify", "thousand", &[]).await?;
        let answer = process.invoke(&batch).await?.map_err(anyhow::Error::msg)?;
        process.stop().await?;
        ensure!(
            sample::failed(&answer)?.is_empty(),
            "notify answered {answer}"
        );
        let wanted: Vec<String> = (0..950)
            .map(|n| format!("s3://{LAKE}/{}", key(n)))
            .collect();
        self.wait_for_mail(|listed| wanted.iter().all(|url| listed.contains_key(url)))
            .await?;
        let metrics = self.metrics("notify-thousand.log")?;
        ensure!(
            metrics["Objects"] == 950 && metrics["Repeats"] == 50 && metrics["Mails"] == 1,
            "the metrics say {metrics}"
        );
        // The subscriber's e-mail and the three mailboxes.
        ensure!(
            metrics["Subscriptions"] == json!([4.0]),
            "the metrics say {metrics}"
        );
        let more = self.listed().into_iter().find(|(_, times)| *times > 1);
        ensure!(more.is_none(), "listed more than once: {more:?}");
        let mail = self.stack.mailbox.mails().pop().context("no mail")?;
        let prefixes: Vec<String> =
            serde_json::from_str(&mail.attributes["prefix"]).context("the attribute prefix")?;
        ensure!(
            prefixes.len() == 24 && prefixes[5] == "ticks/dt=2026-11-23/hr=05/",
            "the attribute prefix is {prefixes:?}"
        );
        ensure!(
            mail.attributes["kind"] == "data" && mail.attributes["format"] == "parquet",
            "the attributes are {:?}",
            mail.attributes
        );
        let mut process = self.start("start-crawler", "thousand", &[]).await?;
        let answer = process.invoke(&batch).await?.map_err(anyhow::Error::msg)?;
        process.stop().await?;
        ensure!(
            sample::failed(&answer)?.len() == 1000,
            "start-crawler acknowledged what no catalog covers: {answer}"
        );
        let metrics = self.metrics("start-crawler-thousand.log")?;
        ensure!(
            metrics["LastCrawlFailed"] == json!([0.0])
                && metrics["Deferred"] == 1000
                && metrics["OldestUncoveredSeconds"][0].as_f64() > Some(0.0),
            "the metrics say {metrics}"
        );
        Ok(())
    }

    /// The rule brings outcomes to notify, which mails the hours that are complete, in a mail
    /// of their own. An outcome that cannot be read comes back.
    async fn hours(&self, mailbox: &Mailbox) -> Result<()> {
        let key = |hour: &str| -> Result<RegisterKey> {
            let hour = LakePartition::parse("2026-11-27", hour).context("an hour")?;
            Ok(RegisterKey {
                hour,
                version: 0,
                register: Register::Outcome,
            })
        };
        let summary = Summary {
            ticks: 51_234,
            symbols: 30,
            ..Summary::default()
        };
        let committed = Outcome::Committed {
            base: None,
            summary,
        };
        let reason = Reason::Unfinished;
        let abandoned = Outcome::Abandoned { unit: 0, reason };
        let s3 = aws_sdk_s3::Client::new(self.stack.ministack.aws.config());
        for (hour, outcome) in [("04", &abandoned), ("05", &committed)] {
            let key = key(hour)?;
            let put = s3.put_object().bucket(LAKE).key(key.to_string());
            let put = put.if_none_match("*").body(outcome.to_json(&key)?.into());
            put.send().await.with_context(|| key.to_string())?;
        }
        let is_there = async || Ok(!mailbox.mails().is_empty());
        wait_until("the mail of the hour", MAIL_TIMEOUT, is_there).await?;
        let file = "ticks/dt=2026-11-27/hr=05/beside.parquet".to_owned();
        let keys = [file, key("05")?.to_string(), key("06")?.to_string()];
        let events = keys.iter().map(|key| sample::event(LAKE, key, "e", None));
        let mut process = self.start("notify", "hours", &[]).await?;
        let answer = process.invoke(&sample::batch(events)).await?;
        process.stop().await?;
        let answer = answer.map_err(anyhow::Error::msg)?;
        ensure!(
            sample::failed(&answer)? == ["m2"],
            "notify answered {answer}"
        );
        let again = async || Ok(mailbox.mails().len() == 2);
        wait_until("the mail of the hour, again", MAIL_TIMEOUT, again).await?;
        for mail in mailbox.mails() {
            let wanted =
                "[ticklake] 2026-11-27 05:00 to 06:00 UTC complete: 51,234 ticks, 30 symbols";
            ensure!(mail.subject == wanted, "got {:?}", mail.subject);
        }
        self.announced(&["beside.parquet"], &[]).await
    }

    /// With `CrawlOn: every-file` an object is covered by a crawl that began after it and
    /// has succeeded, and by no other.
    async fn every_file(&self) -> Result<()> {
        let mut process = self
            .start("start-crawler", "every-file", &[("CRAWL_ON", "every-file")])
            .await?;
        let event = |name: &str| -> Result<Value> {
            let mut event = sample::event(
                LAKE,
                &format!("ticks/dt=2026-11-24/hr=05/{name}.parquet"),
                "e",
                None,
            );
            event["time"] = aws_sdk_s3::primitives::DateTime::from(SystemTime::now())
                .fmt(DateTimeFormat::DateTime)?
                .into();
            let mut batch = sample::batch([event]);
            batch["Records"][0]["attributes"] = serde_json::json!({});
            Ok(batch)
        };
        let first = event("first")?;
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut deferred = 0;
        loop {
            let answer = process.invoke(&first).await?.map_err(anyhow::Error::msg)?;
            if sample::failed(&answer)?.is_empty() {
                break;
            }
            deferred += 1;
            ensure!(
                Instant::now() < deadline,
                "no crawl has covered the first object"
            );
            sleep(Duration::from_millis(500)).await;
        }
        ensure!(
            deferred > 0,
            "the first object was covered before any crawl"
        );
        let answer = process
            .invoke(&event("second")?)
            .await?
            .map_err(anyhow::Error::msg)?;
        ensure!(
            sample::failed(&answer)? == ["m0"],
            "the crawl before an object has covered it: {answer}"
        );
        process.stop().await
    }

    /// A crawler that does not exist covers nothing: the message stays, and the log names
    /// the crawler.
    async fn no_crawler(&self) -> Result<()> {
        let mut process = self
            .start(
                "start-crawler",
                "no-crawler",
                &[("CRAWLER_NAME", "nowhere")],
            )
            .await?;
        let event = sample::event(LAKE, "ticks/dt=2026-11-25/hr=05/a.parquet", "e", None);
        let answer = process
            .invoke(&sample::batch([event]))
            .await?
            .map_err(anyhow::Error::msg)?;
        process.stop().await?;
        ensure!(
            sample::failed(&answer)? == ["m0"],
            "start-crawler answered {answer}"
        );
        let log = std::fs::read_to_string(self.work.folder.join("start-crawler-no-crawler.log"))?;
        ensure!(
            log.contains("GetCrawler nowhere: EntityNotFoundException"),
            "the log does not name the crawler: {log}"
        );
        Ok(())
    }

    /// A message that is not an event, and a file from which the crawler makes no
    /// partition, end in the dead-letter queues after the queues' limit. The file costs
    /// one crawl, and the message of an object that is gone is acknowledged.
    async fn dead_letters(&self) -> Result<()> {
        let sqs = aws_sdk_sqs::Client::new(self.stack.ministack.aws.config());
        let queue = |output| self.stack.deployment.output(output);
        self.limit(&sqs, "NotifyQueueUrl", 2, "1").await?;
        send(&sqs, queue("NotifyQueueUrl")?, "poison").await?;
        self.wait_for_dead(&sqs, "NotifyDeadLetterQueueUrl", "NotifyQueueUrl", 1)
            .await?;
        // The file's event comes to both queues, and a mail takes longer than a second.
        self.limit(&sqs, "NotifyQueueUrl", 2, "40").await?;
        let crawls = self.stack.crawls.crawls();
        self.limit(&sqs, "CrawlQueueUrl", 12, "1").await?;
        sample::put(
            &self.stack.ministack.aws,
            LAKE,
            "ticks/foreign/dt=2026-11-26/hr=05/a.parquet",
        )
        .await?;
        let gone =
            sample::event(LAKE, "ticks/dt=2026-11-26/hr=05/gone.parquet", "e", None).to_string();
        for body in ["poison", &gone] {
            send(&sqs, queue("CrawlQueueUrl")?, body).await?;
        }
        self.wait_for_dead(&sqs, "CrawlDeadLetterQueueUrl", "CrawlQueueUrl", 2)
            .await?;
        let crawls = self.stack.crawls.crawls() - crawls;
        ensure!(
            crawls == 1,
            "{crawls} crawls for one file that no crawl covers"
        );
        Ok(())
    }

    /// Sets how often a queue hands over a message, and after how many seconds again.
    async fn limit(
        &self,
        sqs: &aws_sdk_sqs::Client,
        queue: &str,
        receives: u32,
        visibility: &str,
    ) -> Result<()> {
        let queue = self.stack.deployment.output(queue)?;
        let redrive = sqs
            .get_queue_attributes()
            .queue_url(queue)
            .attribute_names(QueueAttributeName::RedrivePolicy)
            .send()
            .await?;
        let redrive = redrive
            .attributes()
            .and_then(|attributes| attributes.get(&QueueAttributeName::RedrivePolicy))
            .cloned();
        let mut redrive: Value =
            serde_json::from_str(&redrive.context("the queue has no dead-letter queue")?)?;
        redrive["maxReceiveCount"] = receives.into();
        set_attribute(
            sqs,
            queue,
            QueueAttributeName::RedrivePolicy,
            &redrive.to_string(),
        )
        .await?;
        set_attribute(
            sqs,
            queue,
            QueueAttributeName::VisibilityTimeout,
            visibility,
        )
        .await
    }

    /// Waits until so many messages are in a dead-letter queue, and none in its queue.
    async fn wait_for_dead(
        &self,
        sqs: &aws_sdk_sqs::Client,
        dead: &str,
        queue: &str,
        wanted: u64,
    ) -> Result<()> {
        let (dead, queue) = (
            self.stack.deployment.output(dead)?,
            self.stack.deployment.output(queue)?,
        );
        let what = format!("{wanted} messages in {dead}, and none in {queue}");
        let is_so =
            async || Ok(waiting(sqs, dead).await? == wanted && waiting(sqs, queue).await? == 0);
        wait_until(&what, Duration::from_secs(60), is_so).await
    }

    /// Returns the metrics of a function's last invocation, from its log, every line of
    /// which is JSON.
    fn metrics(&self, log: &str) -> Result<Value> {
        let text = std::fs::read_to_string(self.work.folder.join(log))?;
        let lines = text
            .lines()
            .map(serde_json::from_str::<Value>)
            .collect::<Result<Vec<_>, _>>()
            .with_context(|| format!("{log}: {text}"))?;
        let metrics = lines
            .into_iter()
            .rfind(|line| line["_aws"].is_object() && line["Objects"].is_number());
        metrics.with_context(|| format!("{log} has no metrics"))
    }

    /// SNS answers with errors, late, or not at all, but not always: the mail goes out.
    async fn trouble_with_sns(&self) -> Result<()> {
        let proxy =
            FaultProxy::start(self.stack.ministack.aws.endpoint(), 0, Conditions::Kept).await?;
        proxy.set_rate(50);
        let mut process = self
            .start(
                "notify",
                "trouble",
                &[("AWS_ENDPOINT_URL_SNS", &proxy.url())],
            )
            .await?;
        for name in ["first", "second", "third"] {
            let event = sample::event(
                LAKE,
                &format!("ticks/dt=2026-11-21/hr=06/{name}.parquet"),
                "e",
                None,
            );
            let answer = process
                .invoke(&sample::batch([event]))
                .await?
                .map_err(anyhow::Error::msg)?;
            ensure!(
                sample::failed(&answer)?.is_empty(),
                "notify answered {answer}"
            );
        }
        process.stop().await?;
        // A fault of GetTopicAttributes alone would show nothing.
        let log = std::fs::read_to_string(self.work.folder.join("notify-trouble.log"))?;
        let again = log.matches("\"event\":\"retrying\"").count();
        let (thrown, wanted) = (
            proxy.thrown(),
            [Fault::SlowDown, Fault::Slow, Fault::LostAnswer],
        );
        ensure!(
            again >= 2 && wanted.iter().all(|fault| thrown.contains_key(fault)),
            "{again} publications tried again; SNS met {thrown:?}"
        );
        self.announced(&["first.parquet", "second.parquet", "third.parquet"], &[])
            .await
    }

    /// A service takes the call and never answers: the function answers before its
    /// deadline.
    async fn silence(&self, function: &str, service: &str, wanted: &[&str]) -> Result<()> {
        let silent = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", silent.local_addr()?);
        let mut process = self
            .start(
                function,
                &format!("silent-{service}"),
                &[(&format!("AWS_ENDPOINT_URL_{service}"), &url)],
            )
            .await?;
        let name = format!("silent-{service}.parquet");
        let event = sample::event(
            LAKE,
            &format!("ticks/dt=2026-11-21/hr=07/{name}"),
            "e",
            None,
        );
        let started = Instant::now();
        let answer = process
            .invoke(&sample::batch([event]))
            .await
            .with_context(|| format!("{function} while {service} is silent"))?;
        let answer: Value = answer.map_err(anyhow::Error::msg)?;
        println!(
            "     {function} while {service} is silent: {answer} after {:.1} s",
            started.elapsed().as_secs_f64()
        );
        ensure!(
            sample::failed(&answer)? == wanted,
            "{function} while {service} is silent answered {answer}"
        );
        process.stop().await?;
        if wanted.is_empty() {
            self.announced(&[&name], &[]).await
        } else {
            Ok(())
        }
    }

    fn listed(&self) -> BTreeMap<String, u64> {
        listed(&self.stack.mailbox.mails())
    }

    /// Waits until mails list files with these names, and none with those.
    async fn announced(&self, names: &[&str], others: &[&str]) -> Result<()> {
        let lists = |listed: &BTreeMap<String, u64>, name: &str| {
            listed.keys().any(|url| url.ends_with(&format!("/{name}")))
        };
        self.wait_for_mail(|listed| names.iter().all(|name| lists(listed, name)))
            .await?;
        let listed = self.listed();
        ensure!(
            !others.iter().any(|name| lists(&listed, name)),
            "one of {others:?} is in a mail"
        );
        Ok(())
    }

    async fn wait_for_mail(&self, is_there: impl Fn(&BTreeMap<String, u64>) -> bool) -> Result<()> {
        let what = "a mail that was to come";
        wait_until(what, MAIL_TIMEOUT, async || Ok(is_there(&self.listed())))
            .await
            .with_context(|| format!("{:?}", self.stack.mailbox.mails()))
    }
}

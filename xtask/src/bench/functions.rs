use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use local::{Build, Deployment, Ministack, Processes, Stack, Workspace, arrivals, sample};
use serde_json::{Value, json};
use tokio::time::{Instant, interval, sleep};

use super::measured::quantile;
use crate::prepare;
use crate::replay::{FUNCTIONS, OBJECT_FUNCTIONS};
use crate::steps::Steps;
use crate::test::template::zipped;

/// Numbers of messages in a batch.
const BATCH_SIZES: [usize; 3] = [10, 100, 1000];
/// Time between two objects while the bench measures mails.
const PUT_INTERVAL: Duration = Duration::from_millis(100);
/// Time that `notify` waits after a mail.
const NOTIFY_HOLD_SECONDS: f64 = 2.0;
const MAIL_TIMEOUT: Duration = Duration::from_secs(60);
const LAKE_FOLDER: &str = "ticks/dt=2026-11-21/hr=05";

/// Options of `cargo xtask bench functions`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// Starts of each function
    #[arg(long, default_value_t = 50)]
    starts: u32,
    /// Objects for whose mails the bench waits
    #[arg(long, default_value_t = 500)]
    objects: usize,
}

struct Bench {
    workspace: Workspace,
    stack: Stack,
    objects: usize,
}

pub(crate) async fn run(options: Options, processes: &Processes) -> Result<()> {
    let workspace = prepare::workspace("bench-functions", processes).await?;
    let mut steps = Steps::new();
    let stack = steps
        .step(
            "deploy",
            "sam build (minutes the first time), sam deploy",
            async {
                Deployment::build(Build::Functions, &workspace).await?;
                let ministack = Ministack::start(&workspace).await?;
                let stack = Stack::deploy(ministack, &workspace, &sample::parameters()).await?;
                Ok(("stack ticklake".to_owned(), stack))
            },
        )
        .await?;
    let bench = Bench {
        workspace,
        stack,
        objects: options.objects,
    };
    let mut figures = json!({});
    for function in FUNCTIONS {
        let bytes = zipped(&bench.workspace.repository, function)?;
        let starts = steps
            .step(function, &format!("{} starts", options.starts), async {
                let mut seconds = bench.starts(function, options.starts).await?;
                let p50 = quantile(&mut seconds, 0.5)?;
                let p99 = quantile(&mut seconds, 0.99)?;
                let text = format!(
                    "zip {:.2} MB; start to first poll p50 {:.1} ms, p99 {:.1} ms",
                    bytes as f64 / 1e6,
                    p50 * 1e3,
                    p99 * 1e3
                );
                Ok((text, json!({"p50": p50, "p99": p99})))
            })
            .await?;
        figures[function] = json!({"zip_bytes": bytes, "start_seconds": starts});
    }
    let doing = format!(
        "{} objects, one every {} ms",
        options.objects,
        PUT_INTERVAL.as_millis()
    );
    let latency = steps
        .step("mail", &doing, async {
            let mut seconds = bench.mails().await?;
            let p50 = quantile(&mut seconds, 0.5)?;
            let p99 = quantile(&mut seconds, 0.99)?;
            let mails = bench.stack.mailbox.mails().len();
            let text = format!(
                "object created → mail published p50 {p50:.2} s, p99 {p99:.2} s; \
                 {} objects in {mails} mails",
                seconds.len()
            );
            Ok((text, json!({"p50": p50, "p99": p99, "mails": mails})))
        })
        .await?;
    figures["created_to_mail_seconds"] = latency;
    for function in OBJECT_FUNCTIONS {
        for size in BATCH_SIZES {
            let seconds = steps
                .step(
                    "batch",
                    &format!("{function} takes {size} messages"),
                    async {
                        let seconds = bench.batch(function, size).await?;
                        let hold = if function == "notify" {
                            NOTIFY_HOLD_SECONDS
                        } else {
                            0.0
                        };
                        let rate = size as f64 / (seconds - hold);
                        let held = if hold > 0.0 {
                            format!(", {hold:.0} s of them waiting after the mail")
                        } else {
                            String::new()
                        };
                        let text = format!(
                            "{function}, {size} messages: {:.0} ms{held}; {} events a second",
                            seconds * 1e3,
                            wording::grouped(rate as u64)
                        );
                        let figures = json!({
                            "seconds": seconds,
                            "hold_seconds": hold,
                            "events_a_second": rate,
                        });
                        Ok((text, figures))
                    },
                )
                .await?;
            figures[function][format!("batch_{size}")] = seconds;
        }
    }
    let summary = bench.workspace.folder.join("figures.json");
    std::fs::write(&summary, format!("{figures:#}"))?;
    println!("figures in {}", summary.display());
    Ok(())
}

impl Bench {
    /// Starts a function many times. Returns the seconds until each first poll.
    async fn starts(&self, function: &str, starts: u32) -> Result<Vec<f64>> {
        let log = self.workspace.log(&format!("{function}-start"));
        let mut seconds = Vec::new();
        for _ in 0..starts {
            let process =
                sample::function(&self.stack, &self.workspace, function, &[], &log).await?;
            seconds.push(process.first_poll().await?.as_secs_f64());
            process.stop().await?;
        }
        Ok(seconds)
    }

    /// Puts objects. Returns the seconds from each PUT's answer until SNS had the mail
    /// that lists the object.
    async fn mails(&self) -> Result<Vec<f64>> {
        let bucket = self.stack.deployment.output("LakeBucket")?;
        let mut created: HashMap<String, i64> = HashMap::new();
        let mut ticks = interval(PUT_INTERVAL);
        for n in 0..self.objects {
            ticks.tick().await;
            let key = format!("{LAKE_FOLDER}/{n:05}.parquet");
            sample::put(&self.stack.ministack.aws, bucket, &key).await?;
            let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
            created.insert(format!("s3://{bucket}/{key}"), i64::try_from(now)?);
        }
        let deadline = Instant::now() + MAIL_TIMEOUT;
        loop {
            let mails = self.stack.mailbox.mails();
            let mut published: HashMap<String, i64> = HashMap::new();
            for mail in &mails {
                for url in mail.listed().into_keys() {
                    let first = published.entry(url).or_insert(mail.published_ms);
                    *first = (*first).min(mail.published_ms);
                }
            }
            if created.keys().all(|url| published.contains_key(url)) {
                return Ok(created
                    .iter()
                    .map(|(url, at)| (published[url] - at).max(0) as f64 / 1e3)
                    .collect());
            }
            ensure!(
                Instant::now() < deadline,
                "{} of {} objects are in mails",
                arrivals::listed(&mails).len(),
                created.len()
            );
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Invokes a warm function with a batch of existing objects in a partition that the
    /// catalog has. Returns the seconds that it takes.
    async fn batch(&self, function: &str, size: usize) -> Result<f64> {
        let bucket = self.stack.deployment.output("LakeBucket")?;
        let event = |n: usize| {
            sample::event(
                bucket,
                &format!("{LAKE_FOLDER}/{:05}.parquet", n % self.objects),
                &format!("e{n}"),
                None,
            )
        };
        let log = self.workspace.log(&format!("{function}-{size}"));
        let mut process =
            sample::function(&self.stack, &self.workspace, function, &[], &log).await?;
        let warm: Value = sample::batch([event(0)]);
        let answer = process.invoke(&warm).await?.map_err(anyhow::Error::msg)?;
        ensure!(
            sample::failed(&answer)?.is_empty(),
            "{function} answered {answer}"
        );
        let batch = sample::batch((0..size).map(event));
        let started = Instant::now();
        let answer = process
            .invoke(&batch)
            .await?
            .map_err(anyhow::Error::msg)
            .with_context(|| format!("a batch of {size}"))?;
        let seconds = started.elapsed().as_secs_f64();
        ensure!(
            sample::failed(&answer)?.is_empty(),
            "{function} answered {answer}"
        );
        process.stop().await?;
        Ok(seconds)
    }
}

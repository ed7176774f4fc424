//! `cargo xtask demo`: runs the whole path on real input, and proves its claims.

mod agents;
mod input;
mod options;
mod queries;
mod summary;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bytesize::ByteSize;
use local::sample::{self, SUBSCRIBER, TOPIC};
use local::{
    Kafka, KafkaKind, LakeContents, Ministack, Parameters, Processes, Repository, Stack,
    StackOptions, Tools, arrivals,
};

use crate::background::Background;
use crate::prepare;
use crate::steps::Steps;
use crate::up::State;
use agents::Produced;
pub(crate) use options::{FormatName, KafkaName, Options};
use summary::Summary;
use wording::{count, grouped};

/// Runs the demo. With `--keep` it runs in the background, and its output is printed here
/// until it is done.
pub(crate) async fn run(options: Options, processes: &Processes) -> Result<()> {
    let input = input::Input::of(&options)?;
    KafkaKind::from(options.kafka).check()?;
    match (options.keep, Background::is_here()) {
        (true, false) => Background::start(processes).await,
        _ => show(&options, &input, processes).await,
    }
}

async fn show(options: &Options, input: &input::Input, processes: &Processes) -> Result<()> {
    let started = Instant::now();
    let mut steps = Steps::new();
    let repository = Repository::here();
    let folder = prepare::run_folder(&repository, &format!("demo-{}", std::process::id()))?;
    let tools = prepare::tools_and_build(&mut steps, &repository, processes, &folder).await?;
    let outcome = pipeline(
        options,
        input,
        &mut steps,
        &repository,
        &tools,
        processes,
        &folder,
    )
    .await;
    let (kept, summary) =
        outcome.with_context(|| format!("the logs are in {}", folder.display()))?;
    if let Some(path) = &options.summary {
        summary.write(path, steps.seconds(), started.elapsed())?;
    }
    if options.keep {
        steps.line(
            "kept",
            "the stack keeps running; cargo xtask down ends it and its state",
        );
        let (stack, kafka) = kept;
        return State::of(&stack, &kafka)?
            .serve(stack, kafka, processes)
            .await;
    }
    drop(kept);
    processes.stop_all().await;
    std::fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    println!(
        "Try next:  cargo xtask up, then cargo xtask replay events/s3-put.json · \
         cargo xtask demo --format csv · docs/deploy.md"
    );
    Ok(())
}

async fn pipeline(
    options: &Options,
    input: &input::Input,
    steps: &mut Steps,
    repository: &Repository,
    tools: &Tools,
    processes: &Processes,
    folder: &Path,
) -> Result<((Stack, Kafka), Summary)> {
    let ministack = steps
        .step("aws", "starting the local AWS", async {
            let ministack = Ministack::start(tools, processes, folder).await?;
            Ok((format!("local, {}", ministack.aws.endpoint()), ministack))
        })
        .await?;
    let kafka = steps
        .step("kafka", "starting Kafka", async {
            let kafka = Kafka::start(options.kafka.into(), repository, processes, folder).await?;
            kafka.create_topic(TOPIC.0, TOPIC.1).await?;
            Ok((
                format!(
                    "{}, {}, topic {}, {} partitions",
                    kafka.describe(),
                    kafka.brokers(),
                    TOPIC.0,
                    TOPIC.1
                ),
                kafka,
            ))
        })
        .await?;
    let stack = steps
        .step("deploy", "sam deploy on template.yaml", async {
            let parameters = Parameters {
                format: options.format.into(),
                kafka: kafka.brokers().to_owned(),
                ..sample::parameters()
            };
            let options = StackOptions {
                folder: folder.to_path_buf(),
                parameters,
            };
            let stack = Stack::deploy(ministack, repository, tools, processes, &options).await?;
            Ok((
                format!(
                    "sam deploy → stack ticklake: {}",
                    count(stack.deployment.resources as u64, "resource")
                ),
                stack,
            ))
        })
        .await?;
    let aws = &stack.ministack.aws;
    let bucket = stack.deployment.output("LakeBucket")?;
    let consumer = agents::start_consumer(input, repository, processes, folder, &stack).await?;
    let produced: Produced = steps
        .step("produce", "tick-producer sends to Kafka", async {
            let produced = agents::produce(
                options,
                input,
                repository,
                processes,
                folder,
                kafka.brokers(),
            )
            .await?;
            Ok((produced.sentence(&input.name()), produced))
        })
        .await?;
    if !produced.rejected_lines.is_empty() {
        steps.detail(&produced.rejected_lines);
    }
    let mut lake = LakeContents::default();
    steps
        .step("consume", "tick-consumer lands in S3", async {
            arrivals::all_landed(
                &mut lake,
                aws,
                bucket,
                produced.figures.rows_sent,
                processes,
                consumer,
            )
            .await?;
            let dead = lake.rows("dead-letter/");
            let dead = if dead == 0 {
                String::new()
            } else {
                format!(", {} in dead-letter/", grouped(dead))
            };
            let size = ByteSize::b(lake.bytes("ticks/"));
            let objects = count(lake.below("ticks/").count() as u64, "object");
            let places = arrivals::folders(&lake)
                .into_iter()
                .map(|folder| format!("s3://{bucket}/{folder}/"))
                .collect::<Vec<_>>()
                .join(", ");
            Ok((
                format!(
                    "{} ticks → {objects}, {size} in {places}{dead}",
                    grouped(lake.rows("ticks/"))
                ),
                (),
            ))
        })
        .await?;
    steps
        .step(
            "crawl",
            "start-crawler starts the crawler, which adds the partitions",
            async {
                let (new, all) = arrivals::all_crawled(&lake, aws, &stack.deployment).await?;
                let table = format!(
                    "{}.{}",
                    stack.deployment.output("DatabaseName")?,
                    stack.deployment.output("TableName")?
                );
                let crawls = count(stack.crawls.crawls(), "crawl");
                Ok((
                    format!(
                        "{} → {crawls} → table {table}, {}",
                        count(new, "new partition"),
                        count(all, "partition")
                    ),
                    (),
                ))
            },
        )
        .await?;
    let mails = steps
        .step("mail", "notify mails the digests", async {
            let mails = arrivals::all_announced(&lake, bucket, &stack.mailbox).await?;
            Ok((
                format!("{} to {SUBSCRIBER}:", count(mails.len() as u64, "digest")),
                mails,
            ))
        })
        .await?;
    if let Some(mail) = mails.last() {
        let rest = if mails.len() > 1 {
            format!("\n… and {}", count(mails.len() as u64 - 1, "more mail"))
        } else {
            String::new()
        };
        steps.detail(&format!(
            "\nSubject: {}\n\n{}{rest}\n\n",
            mail.subject, mail.body
        ));
    }
    let (landed, shown) = steps
        .step("query", "the queries of sql/ in Athena", async {
            let shown = queries::all(repository, aws, &stack.deployment).await?;
            let landed = arrivals::rows_by_query(aws, &stack.deployment).await?;
            Ok((shown.heading(), (landed, shown)))
        })
        .await?;
    steps.detail(&shown.tables());
    let summary = Summary::new(
        &produced.figures,
        &landed,
        &lake,
        stack.crawls.crawls(),
        &mails,
        bucket,
    );
    summary.check()?;
    if !options.keep {
        steps
            .step("stop", "tick-consumer leaves the group", async {
                let status = processes.stop(consumer, Duration::from_secs(20)).await?;
                anyhow::ensure!(
                    status.success(),
                    "tick-consumer ended with {status}; its log is in {}",
                    folder.display()
                );
                Ok((
                    "tick-consumer sealed its open batches and left the group".to_owned(),
                    (),
                ))
            })
            .await?;
    }
    println!();
    steps.line("checked", &summary.sentence());
    Ok(((stack, kafka), summary))
}

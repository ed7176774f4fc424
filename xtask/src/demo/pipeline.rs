use std::time::Duration;

use anyhow::{Result, ensure};
use bytesize::ByteSize;
use local::sample::{self, SUBSCRIBER, TOPIC};
use local::{
    Kafka, LakeContents, Mail, Ministack, Parameters, ProcessId, Stack, Workspace, arrivals,
};
use wording::{count, grouped};

use super::agents::{self, Produced};
use super::curated::{self, Curated};
use super::input::Input;
use super::options::Options;
use super::queries;
use super::summary::Summary;
use crate::steps::Steps;

/// How long the consumer may take to leave its group.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// The steps of a demo, from Kafka to the queries.
pub(super) struct Pipeline<'a> {
    pub(super) options: &'a Options,
    pub(super) input: &'a Input,
    pub(super) workspace: &'a Workspace,
    pub(super) steps: &'a mut Steps,
}

/// The result of a demo whose claims are all true.
pub(super) struct Finished {
    pub(super) stack: Stack,
    pub(super) kafka: Kafka,
    pub(super) summary: Summary,
}

impl Pipeline<'_> {
    pub(super) async fn run(&mut self) -> Result<Finished> {
        let ministack = self.start_aws().await?;
        let kafka = self.start_kafka().await?;
        let stack = self.deploy(ministack, &kafka).await?;
        let consumer = agents::start_consumer(self.input, self.workspace, &stack).await?;
        let produced = self.produce(&kafka).await?;
        let lake = self.consume(&stack, consumer, &produced).await?;
        self.crawl(&stack, &lake).await?;
        let mails = self.mail(&stack, &lake).await?;
        let curated = self.curate(&stack, &lake).await?;
        let landed = self.query(&stack).await?;
        let summary = Summary::new(
            &produced.figures,
            &landed,
            &lake,
            stack.crawls.crawls(),
            &mails,
            &curated,
            stack.deployment.output("LakeBucket")?,
        );
        summary.check()?;
        if !self.options.keep {
            self.stop(consumer).await?;
        }
        println!();
        self.steps.line("checked", &summary.sentence());
        Ok(Finished {
            stack,
            kafka,
            summary,
        })
    }

    async fn start_aws(&mut self) -> Result<Ministack> {
        self.steps
            .step("aws", "starting the local AWS", async {
                let ministack = Ministack::start(self.workspace).await?;
                Ok((format!("local, {}", ministack.aws.endpoint()), ministack))
            })
            .await
    }

    async fn start_kafka(&mut self) -> Result<Kafka> {
        self.steps
            .step("kafka", "starting Kafka", async {
                let (topic, partitions) = TOPIC;
                let kafka = Kafka::start(self.options.kafka.into(), self.workspace).await?;
                kafka.create_topic(topic, partitions).await?;
                let text = format!(
                    "{}, {}, topic {topic}, {partitions} partitions",
                    kafka.describe(),
                    kafka.brokers(),
                );
                Ok((text, kafka))
            })
            .await
    }

    async fn deploy(&mut self, ministack: Ministack, kafka: &Kafka) -> Result<Stack> {
        let parameters = Parameters {
            format: self.options.format.into(),
            kafka: kafka.brokers().to_owned(),
            ..sample::parameters()
        };
        self.steps
            .step("deploy", "sam deploy on template.yaml", async {
                let stack = Stack::deploy(ministack, self.workspace, &parameters).await?;
                let resources = count(stack.deployment.resources as u64, "resource");
                let text = format!("sam deploy → stack ticklake: {resources}");
                Ok((text, stack))
            })
            .await
    }

    async fn produce(&mut self, kafka: &Kafka) -> Result<Produced> {
        let (options, input) = (self.options, self.input);
        let produced = self
            .steps
            .step("produce", "tick-producer sends to Kafka", async {
                let produced =
                    agents::produce(options, input, self.workspace, kafka.brokers()).await?;
                Ok((produced.sentence(&input.name()), produced))
            })
            .await?;
        if !produced.rejected_lines.is_empty() {
            self.steps.detail(&produced.rejected_lines);
        }
        Ok(produced)
    }

    /// Waits until everything that was sent has landed; returns the objects.
    async fn consume(
        &mut self,
        stack: &Stack,
        consumer: ProcessId,
        produced: &Produced,
    ) -> Result<LakeContents> {
        let aws = &stack.ministack.aws;
        let bucket = stack.deployment.output("LakeBucket")?;
        let sent = produced.figures.rows_sent;
        let processes = &self.workspace.processes;
        self.steps
            .step("consume", "tick-consumer lands in S3", async {
                let mut lake = LakeContents::default();
                arrivals::all_landed(&mut lake, aws, bucket, sent, processes, consumer).await?;
                Ok((landed_sentence(&lake, bucket), lake))
            })
            .await
    }

    async fn crawl(&mut self, stack: &Stack, lake: &LakeContents) -> Result<()> {
        let deployment = &stack.deployment;
        let doing = "start-crawler starts the crawler, which adds the partitions";
        self.steps
            .step("crawl", doing, async {
                let (new, all) =
                    arrivals::all_crawled(lake, &stack.ministack.aws, deployment).await?;
                let text = format!(
                    "{} → {} → table {}.{}, {}",
                    count(new, "new partition"),
                    count(stack.crawls.crawls(), "crawl"),
                    deployment.output("DatabaseName")?,
                    deployment.output("TableName")?,
                    count(all, "partition")
                );
                Ok((text, ()))
            })
            .await
    }

    /// Waits until every object is in a mail, and shows the last mail.
    async fn mail(&mut self, stack: &Stack, lake: &LakeContents) -> Result<Vec<Mail>> {
        let bucket = stack.deployment.output("LakeBucket")?;
        let mails = self
            .steps
            .step("mail", "notify mails the digests", async {
                let mails = arrivals::all_announced(lake, bucket, &stack.mailbox).await?;
                let digests = count(mails.len() as u64, "digest");
                Ok((format!("{digests} to {SUBSCRIBER}:"), mails))
            })
            .await?;
        if let Some(mail) = mails.last() {
            let rest = if mails.len() > 1 {
                format!("\n… and {}", count(mails.len() as u64 - 1, "more mail"))
            } else {
                String::new()
            };
            self.steps.detail(&format!(
                "\nSubject: {}\n\n{}{rest}\n\n",
                mail.subject, mail.body
            ));
        }
        Ok(mails)
    }

    /// Closes the hour, waits until it is curated, shows the largest moves and the subject of
    /// its mail, and proves the hour.
    async fn curate(&mut self, stack: &Stack, lake: &LakeContents) -> Result<Curated> {
        let raw = lake.below("ticks/").count() as u64;
        let curated = self
            .steps
            .step("curate", "curate sorts the hour and makes bars", async {
                let curated = curated::curate(self.workspace, stack, lake).await?;
                Ok((curated.sentence(raw), curated))
            })
            .await?;
        self.steps.detail(&curated.moves());
        self.steps.detail(&curated.mails());
        self.steps
            .step("verify", "tick-consumer verify --curated", async {
                let verdict = agents::verify_curated(self.workspace, stack).await?;
                Ok((verdict, ()))
            })
            .await?;
        Ok(curated)
    }

    /// Runs the sample queries and shows their results; returns Athena's count.
    async fn query(&mut self, stack: &Stack) -> Result<arrivals::Landed> {
        let (aws, deployment) = (&stack.ministack.aws, &stack.deployment);
        let repository = &self.workspace.repository;
        let (landed, shown) = self
            .steps
            .step("query", "the queries of sql/ in Athena", async {
                let shown = queries::all(repository, aws, deployment).await?;
                let landed = arrivals::rows_by_query(aws, deployment).await?;
                Ok((shown.heading(), (landed, shown)))
            })
            .await?;
        self.steps.detail(&shown.tables());
        Ok(landed)
    }

    async fn stop(&mut self, consumer: ProcessId) -> Result<()> {
        let Workspace {
            processes, folder, ..
        } = self.workspace;
        self.steps
            .step("stop", "tick-consumer leaves the group", async {
                let status = processes.stop(consumer, STOP_TIMEOUT).await?;
                ensure!(
                    status.success(),
                    "tick-consumer ended with {status}; its log is in {}",
                    folder.display()
                );
                let text = "tick-consumer sealed its open batches and left the group";
                Ok((text.to_owned(), ()))
            })
            .await
    }
}

fn landed_sentence(lake: &LakeContents, bucket: &str) -> String {
    let dead = match lake.rows("dead-letter/") {
        0 => String::new(),
        dead => format!(", {} in dead-letter/", grouped(dead)),
    };
    let places: Vec<String> = arrivals::folders(lake)
        .into_iter()
        .map(|folder| format!("s3://{bucket}/{folder}/"))
        .collect();
    format!(
        "{} ticks → {}, {} in {}{dead}",
        grouped(lake.rows("ticks/")),
        count(lake.below("ticks/").count() as u64, "object"),
        ByteSize::b(lake.bytes("ticks/")),
        places.join(", ")
    )
}

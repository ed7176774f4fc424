use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fastrand::Rng;
use local::{Conditions, Fault, FaultProxy, Kafka, Ministack, Workspace};
use rustix::process::Signal;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::consumers::{Consumers, Running};
use super::curating::{Curated, Curating};
use super::plan::{Event, Plan, Unconditional};
use super::poison::Poison;
use super::producer::produce;
use super::records::{Produced, Switches};
use super::retention::Retention;
use super::verdict::{Verdict, judge};

/// Limit of the time in which the consumers land the rest, once all faults are over.
const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(90);
/// Limit of the time in which a run that curates goes on landing.
const ENOUGH_TIMEOUT: Duration = Duration::from_secs(30);
/// Longer than a session (6 or 7 s).
const FREEZE_DURATION: Duration = Duration::from_secs(8);

/// The result of a run.
pub(crate) struct Outcome {
    pub(crate) seed: u64,
    pub(crate) acknowledged: u64,
    /// Records of aborted transactions.
    pub(crate) aborted: u64,
    pub(crate) verdict: Verdict,
    pub(crate) events: u64,
    /// Number of batches that a consumer completed for another.
    pub(crate) completed: u64,
    /// Number of times that a consumer parked a partition.
    pub(crate) parked: u64,
    pub(crate) faults: BTreeMap<Fault, u64>,
    /// The curated hours, if the run curates.
    pub(crate) curated: Option<Curated>,
    /// The defects that were found, in words.
    pub(crate) problems: Vec<String>,
}

impl Outcome {
    pub(crate) fn is_whole(&self) -> bool {
        self.problems.is_empty()
    }

    pub(crate) fn describe(&self, plan: &str) -> String {
        let Self {
            acknowledged,
            aborted,
            completed,
            parked,
            verdict:
                Verdict {
                    lost,
                    twice,
                    registered,
                    ..
                },
            ..
        } = self;
        let faults: u64 = self.faults.values().sum();
        let whole = if self.is_whole() {
            "whole"
        } else {
            "NOT WHOLE"
        };
        let curated = self.curated.as_ref().map(|curated| curated.describe());
        let curated = curated.map(|curated| format!("; {curated}"));
        format!(
            "{whole}: {acknowledged} records, {lost} lost, {twice} twice, \
             {registered} taken by retention, {aborted} aborted, {faults} S3 faults, \
             {completed} completed, {parked} parked{}  [{plan}]",
            curated.unwrap_or_default()
        )
    }
}

pub(crate) async fn run(
    plan: &Plan,
    unconditional: Option<Unconditional>,
    workspace: &Workspace,
    ministack: &Ministack,
    kafka: &mut Kafka,
) -> Result<Outcome> {
    let topic = format!("chaos-{}-{}", plan.seed, std::process::id());
    kafka.create_topic(&topic, plan.partitions).await?;
    ministack.aws.create_bucket(&topic).await?;
    let conditions = match unconditional {
        Some(Unconditional::Consumers) => Conditions::KeptForProbes,
        _ => Conditions::Kept,
    };
    let proxy = FaultProxy::start(ministack.aws.endpoint(), plan.seed, conditions).await?;
    let mut consumers = Consumers {
        plan,
        topic: topic.clone(),
        brokers: kafka.brokers().to_owned(),
        endpoint: proxy.url(),
        ministack,
        workspace,
        running: Vec::new(),
        started: 0,
        rng: Rng::with_seed(plan.seed ^ 0xc0ffee),
    };
    let mut curating = match &plan.curating {
        Some(curating) => {
            let conditions = match unconditional {
                Some(Unconditional::Curate) => Conditions::Dropped,
                _ => Conditions::Kept,
            };
            let started = Curating::start(curating, conditions, workspace, ministack, &topic);
            Some(started.await?)
        }
        None => None,
    };
    proxy.set_latency(plan.latency);
    for _ in 0..plan.consumers {
        consumers.start().await?;
    }
    let mut retention = Retention::new(kafka, &topic, plan.partitions, plan.seed)?;
    // Ticks land until their hours have had several versions.
    let (is_enough, is_over) = (AtomicBool::new(false), AtomicBool::new(false));
    let landing = async {
        let landed = land(&mut consumers, kafka, &proxy, &mut retention, &is_enough).await;
        is_over.store(true, Ordering::Relaxed);
        landed
    };
    let curation = async {
        let curated = match &mut curating {
            Some(curating) => curating.torture(&is_enough, &is_over).await,
            None => Ok(()),
        };
        is_enough.store(true, Ordering::Relaxed);
        curated
    };
    let (landed, curation) = tokio::join!(landing, curation);
    let (produced, mut problems) = landed?;
    problems.extend(in_words(curation));
    while proxy.late() > 0 {
        sleep(Duration::from_millis(50)).await;
    }
    problems.extend(in_words(consumers.verify("--deep").await));
    let verdict = judge(&produced, &retention, &ministack.aws, &topic).await?;
    problems.extend(verdict.problem());
    let curated = match &mut curating {
        Some(curating) => {
            let curated = curating.finish(&verdict.ticks).await;
            problems.extend(in_words(consumers.verify("--curated").await));
            curated
                .inspect_err(|error| problems.push(format!("{error:#}")))
                .ok()
        }
        None => None,
    };
    let outcome = Outcome {
        seed: plan.seed,
        acknowledged: produced.acknowledged.len() as u64,
        aborted: produced.aborted.len() as u64,
        verdict,
        events: plan.events.len() as u64,
        completed: consumers.count_in_logs("\"event\":\"batch_overtaken\"")
            + consumers.count_in_logs("\"event\":\"batch_incomplete\""),
        parked: consumers.count_in_logs("\"event\":\"partition_parked\""),
        faults: proxy.thrown(),
        curated,
        problems,
    };
    let admin = kafka.admin()?;
    admin
        .delete_topics(&[&topic], &rdkafka::admin::AdminOptions::new())
        .await?;
    Ok(outcome)
}

/// Returns the error as a problem.
fn in_words<T>(result: Result<T>) -> Option<String> {
    result.err().map(|error| format!("{error:#}"))
}

/// Produces records until it is enough, tortures whoever lands them, and lets the consumers
/// land the rest. Returns the records and the problems.
async fn land(
    consumers: &mut Consumers<'_>,
    kafka: &mut Kafka,
    proxy: &FaultProxy,
    retention: &mut Retention,
    is_enough: &AtomicBool,
) -> Result<(Produced, Vec<String>)> {
    let plan = consumers.plan;
    let switches = Arc::new(Switches::default());
    let (brokers, topic) = (consumers.brokers.clone(), consumers.topic.clone());
    let producing = produce(plan, &brokers, &topic, Arc::clone(&switches));
    let torture = async {
        consumers.wait_for_work().await;
        proxy.set_rate(plan.fault_rate);
        let mut killed = None;
        let tortured = torture(
            plan,
            consumers,
            kafka,
            proxy,
            &switches,
            retention,
            &mut killed,
        )
        .await;
        let deadline = Instant::now() + ENOUGH_TIMEOUT;
        while !is_enough.load(Ordering::Relaxed) && Instant::now() < deadline {
            sleep(Duration::from_millis(100)).await;
        }
        switches.is_over.store(true, Ordering::Relaxed);
        proxy.set_rate(0);
        proxy.set_latency(0);
        // Even if this run failed, the next one needs all three brokers.
        if let Some(broker) = killed {
            kafka.restart_broker(broker).await?;
        }
        tortured
    };
    let (produced, tortured) = tokio::join!(producing, torture);
    let produced = produced?;
    let mut problems: Vec<String> = in_words(tortured).into_iter().collect();
    problems.extend(in_words(catch_up(consumers, &produced).await));
    for Running { process, .. } in consumers.running.clone() {
        problems.extend(in_words(consumers.stop(process).await));
    }
    Ok((produced, problems))
}

/// Carries out the plan, and notes the broker that was killed.
async fn torture(
    plan: &Plan,
    consumers: &mut Consumers<'_>,
    kafka: &Kafka,
    proxy: &FaultProxy,
    switches: &Switches,
    retention: &mut Retention,
    killed: &mut Option<usize>,
) -> Result<()> {
    let begun = Instant::now();
    let mut frozen = None;
    let mut poison = None;
    for (at, event) in &plan.events {
        tokio::time::sleep_until(begun + *at).await;
        switches
            .is_idle
            .store(*event == Event::Idle, Ordering::Relaxed);
        proxy.set_rate(if *event == Event::Outage {
            100
        } else {
            plan.fault_rate
        });
        consumers.forget_ended().await;
        let chosen = consumers
            .draw()
            .filter(|process| frozen.is_none_or(|(frozen, _)| frozen != *process));
        match (event, chosen) {
            (Event::Kill, Some(process)) => {
                consumers.kill(process).await?;
                consumers.start().await?;
            }
            (Event::Leave, Some(process)) => consumers.stop(process).await?,
            (Event::Join, _) if consumers.running.len() < 4 => consumers.start().await?,
            (Event::Freeze, Some(process)) => {
                consumers
                    .workspace
                    .processes
                    .signal(process, Signal::STOP)
                    .await;
                frozen = Some((process, Instant::now()));
                consumers.start().await?;
            }
            (Event::KillBroker, _) if killed.is_none() => {
                let broker = consumers.rng.usize(0..3);
                kafka.kill_broker(broker).await?;
                *killed = Some(broker);
            }
            (Event::Retention, _) => retention.take().await?,
            (Event::Poison, _) => {
                let partition = consumers.rng.i32(0..plan.partitions);
                poison =
                    Some(Poison::put(&consumers.ministack.aws, &consumers.topic, partition).await?);
            }
            _ => {}
        }
    }
    tokio::time::sleep_until(begun + plan.length).await;
    if let Some((process, since)) = frozen {
        tokio::time::sleep_until(since + FREEZE_DURATION).await;
        // Now it is a zombie: it continues in the middle of its work.
        consumers
            .workspace
            .processes
            .signal(process, Signal::CONT)
            .await;
    }
    if let Some(poison) = poison {
        // The replacement of a killed consumer gets its partitions only after the
        // session.
        let deadline = Instant::now() + FREEZE_DURATION;
        while consumers.count_in_logs("\"event\":\"partition_parked\"") == 0
            && Instant::now() < deadline
        {
            sleep(Duration::from_millis(100)).await;
        }
        poison.take_away().await?;
    }
    Ok(())
}

/// Waits until the manifests account for every acknowledged record. Restarts consumers
/// that have ended, as systemd does. For example, a dying broker may end the session of a
/// static member; the member is then fenced and has to end.
async fn catch_up(consumers: &mut Consumers<'_>, produced: &Produced) -> Result<()> {
    let topic = consumers.topic.clone();
    let s3 = aws_sdk_s3::Client::new(consumers.ministack.aws.config());
    let deadline = Instant::now() + CATCH_UP_TIMEOUT;
    for partition in 0..consumers.plan.partitions {
        let end = produced.end(partition);
        loop {
            consumers.forget_ended().await;
            if consumers.running.is_empty() {
                consumers.start().await?;
            }
            let listing = s3
                .list_objects_v2()
                .bucket(&topic)
                .prefix(format!("_manifests/{topic}/{partition}/"))
                .max_keys(1)
                .send()
                .await?;
            let next = match listing.contents().first().and_then(|object| object.key()) {
                None => 0,
                Some(key) => {
                    let body = s3
                        .get_object()
                        .bucket(&topic)
                        .key(key)
                        .send()
                        .await?
                        .body
                        .collect()
                        .await?
                        .into_bytes();
                    serde_json::from_slice::<Value>(&body)?["last"]
                        .as_i64()
                        .context("a manifest without last")?
                        + 1
                }
            };
            if next >= end {
                break;
            }
            ensure!(
                Instant::now() < deadline,
                "partition {partition} is at offset {next} of {end} after {} s",
                CATCH_UP_TIMEOUT.as_secs()
            );
            sleep(Duration::from_millis(200)).await;
        }
    }
    Ok(())
}

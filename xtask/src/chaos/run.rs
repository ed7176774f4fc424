use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fastrand::Rng;
use local::{Conditions, Fault, FaultProxy, Kafka, Ministack, ProcessId, Processes, Repository};
use rustix::process::Signal;
use serde_json::Value;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use super::plan::{Event, Membership, Plan};
use super::poison::Poison;
use super::producer::{Produced, Switches, produce};
use super::retention::Retention;
use super::verdict::{Verdict, judge};

/// Limit of the time in which the consumers land the rest, once all faults are over.
const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(90);
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
        format!(
            "{whole}: {acknowledged} records, {lost} lost, {twice} twice, \
             {registered} taken by retention, {aborted} aborted, {faults} S3 faults, \
             {completed} completed, {parked} parked  [{plan}]"
        )
    }
}

/// The consumers of a run.
struct Consumers<'a> {
    plan: &'a Plan,
    topic: String,
    brokers: String,
    endpoint: String,
    ministack: &'a Ministack,
    repository: &'a Repository,
    processes: &'a Processes,
    folder: &'a Path,
    running: Vec<Running>,
    started: u64,
    rng: Rng,
}

/// A running consumer.
#[derive(Debug, Clone, Copy)]
struct Running {
    process: ProcessId,
    seat: usize,
    number: u64,
}

impl Consumers<'_> {
    fn command(&self) -> Command {
        let mut command = Command::new(self.repository.path("target/debug/tick-consumer"));
        command
            .env_clear()
            .envs(self.ministack.aws.environment())
            .env("RUST_LOG", "info")
            .current_dir(self.folder);
        command.args([
            "--brokers",
            &self.brokers,
            "--topic",
            &self.topic,
            "--bucket",
            &self.topic,
        ]);
        command
    }

    fn name(&self, number: u64) -> String {
        format!("{}-consumer-{number}", self.topic)
    }

    fn log(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{}.log", self.name(number)))
    }

    /// Returns the output of a consumer.
    fn said(&self, number: u64) -> String {
        std::fs::read_to_string(self.log(number)).unwrap_or_default()
    }

    /// Starts a consumer in the first free seat.
    async fn start(&mut self) -> Result<()> {
        let seat = (0..)
            .find(|seat| !self.running.iter().any(|running| running.seat == *seat))
            .unwrap_or_default();
        let number = self.started;
        self.started += 1;
        let mut command = self.command();
        command.env("AWS_ENDPOINT_URL", &self.endpoint);
        for (name, value) in self.plan.settings(number) {
            command.env(format!("TICK_CONSUMER_{name}"), value);
        }
        let config = self.folder.join("sessions.yaml");
        std::fs::write(
            &config,
            concat!(
                "kafka:\n  options:\n    session.timeout.ms: \"6000\"\n",
                "    heartbeat.interval.ms: \"1000\"\n",
            ),
        )?;
        if self.plan.membership != Membership::Consumer {
            command.arg("--config").arg(config);
        }
        match self.plan.membership {
            Membership::Consumer => command.args(["--group-protocol", "consumer"]),
            Membership::Classic => &mut command,
            Membership::Static => command.args(["--group-instance-id", &format!("member-{seat}")]),
            Membership::Rivals => command.args(["--group", &format!("rival-{seat}")]),
        };
        let process = self
            .processes
            .start(&self.name(number), &mut command, &self.log(number))
            .await?;
        self.running.push(Running {
            process,
            seat,
            number,
        });
        Ok(())
    }

    /// Removes the consumers that have ended by themselves.
    async fn forget_ended(&mut self) {
        for Running { process, .. } in self.running.clone() {
            if self.processes.expect_running(process).await.is_err() {
                self.running.retain(|running| running.process != process);
            }
        }
    }

    fn draw(&mut self) -> Option<ProcessId> {
        let count = self.running.len();
        (count > 0).then(|| self.running[self.rng.usize(0..count)].process)
    }

    async fn kill(&mut self, process: ProcessId) -> Result<()> {
        self.processes.signal(process, Signal::KILL).await;
        self.processes.wait(process).await?;
        self.running.retain(|running| running.process != process);
        Ok(())
    }

    async fn stop(&mut self, process: ProcessId) -> Result<()> {
        let status = self
            .processes
            .stop(process, Duration::from_secs(10))
            .await?;
        self.running.retain(|running| running.process != process);
        // A static member that the group took for dead finds its seat taken, and logs it.
        let was_replaced = self.plan.membership == Membership::Static
            && self.count_in_logs("another consumer has joined group") > 0;
        // A consumer that has just started has no handler for the signal yet.
        let was_too_young = status.signal() == Some(Signal::TERM.as_raw());
        ensure!(
            status.success() || was_replaced || was_too_young,
            "a consumer ended with {status} after SIGTERM"
        );
        Ok(())
    }

    /// Waits until every consumer has sealed a batch, but not for ever.
    async fn wait_for_work(&self) {
        let deadline = Instant::now() + Duration::from_secs(8);
        for Running { number, .. } in &self.running {
            while Instant::now() < deadline
                && !self.said(*number).contains("\"event\":\"batch_sealed\"")
            {
                sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// Returns how often a text is in the consumers' logs.
    fn count_in_logs(&self, text: &str) -> u64 {
        (0..self.started)
            .map(|number| self.said(number).matches(text).count() as u64)
            .sum()
    }
}

pub(crate) async fn run(
    plan: &Plan,
    unconditional: bool,
    repository: &Repository,
    ministack: &Ministack,
    kafka: &mut Kafka,
    processes: &Processes,
    folder: &Path,
) -> Result<Outcome> {
    let topic = format!("chaos-{}-{}", plan.seed, std::process::id());
    kafka.create_topic(&topic, plan.partitions).await?;
    ministack.aws.create_bucket(&topic).await?;
    let conditions = if unconditional {
        Conditions::KeptForProbes
    } else {
        Conditions::Kept
    };
    let proxy = FaultProxy::start(ministack.aws.endpoint(), plan.seed, conditions).await?;
    let mut consumers = Consumers {
        plan,
        topic: topic.clone(),
        brokers: kafka.brokers().to_owned(),
        endpoint: proxy.url(),
        ministack,
        repository,
        processes,
        folder,
        running: Vec::new(),
        started: 0,
        rng: Rng::with_seed(plan.seed ^ 0xc0ffee),
    };
    proxy.set_latency(plan.latency);
    for _ in 0..plan.consumers {
        consumers.start().await?;
    }
    let switches = Arc::new(Switches::default());
    let mut retention = Retention::new(kafka, &topic, plan.partitions, plan.seed)?;
    let brokers = kafka.brokers().to_owned();
    let producing = produce(plan, &brokers, &topic, Arc::clone(&switches));
    let torture = async {
        consumers.wait_for_work().await;
        proxy.set_rate(plan.fault_rate);
        let mut killed = None;
        let tortured = torture(
            plan,
            &mut consumers,
            kafka,
            &proxy,
            &switches,
            &mut retention,
            &mut killed,
        )
        .await;
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
    let mut problems: Vec<String> = tortured
        .err()
        .map(|error| format!("{error:#}"))
        .into_iter()
        .collect();
    let caught_up = catch_up(&mut consumers, &produced).await;
    problems.extend(caught_up.err().map(|error| format!("{error:#}")));
    for Running { process, .. } in consumers.running.clone() {
        if let Err(error) = consumers.stop(process).await {
            problems.push(format!("{error:#}"));
        }
    }
    while proxy.late() > 0 {
        sleep(Duration::from_millis(50)).await;
    }
    problems.extend(
        verify(&consumers)
            .await
            .err()
            .map(|error| format!("{error:#}")),
    );
    let verdict = judge(&produced, &retention, &ministack.aws, &topic).await?;
    problems.extend(verdict.problem());
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
        problems,
    };
    let admin = kafka.admin()?;
    admin
        .delete_topics(&[&topic], &rdkafka::admin::AdminOptions::new())
        .await?;
    Ok(outcome)
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
                consumers.processes.signal(process, Signal::STOP).await;
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
        consumers.processes.signal(process, Signal::CONT).await;
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

/// Checks the lake with `tick-consumer verify --deep`.
async fn verify(consumers: &Consumers<'_>) -> Result<()> {
    let log = consumers
        .folder
        .join(format!("{}-verify.log", consumers.topic));
    let mut command = consumers.command();
    consumers
        .processes
        .run(
            "tick-consumer verify",
            command.args(["verify", "--deep"]),
            &log,
        )
        .await
}

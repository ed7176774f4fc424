use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use local::{
    Kafka, KafkaKind, Ministack, ProcessId, Processes, Workspace, without_cargo_variables,
};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use super::measured::{Used, quantile, run as run_measured};
use crate::prepare;
use crate::steps::Steps;

const PARTITIONS: i32 = 4;
const STEP_TIMEOUT: Duration = Duration::from_secs(300);
/// Rate of the stream on which freshness is measured.
const STEADY_TICKS_PER_SECOND: u64 = 10_000;
const STEADY_DURATION: Duration = Duration::from_secs(15);
/// Time until the group notices that a member is gone.
const SESSION_TIMEOUT: Duration = Duration::from_secs(6);

/// Options of `cargo xtask bench sink`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// Ticks to land in each format
    #[arg(long, default_value_t = 4_000_000)]
    ticks: u64,
    /// Another tick-consumer, for example of another commit. Both land the topic in
    /// turns, and the ratio is printed
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// Number of times that each consumer lands the topic in each format; its lowest CPU
    /// time counts
    #[arg(long, default_value_t = 1)]
    rounds: usize,
}

struct Bench {
    workspace: Workspace,
    ministack: Ministack,
    kafka: Kafka,
}

pub(crate) async fn run(options: Options, processes: &Processes) -> Result<()> {
    KafkaKind::Apache.check()?;
    let workspace = prepare::workspace("bench-sink", processes).await?;
    let mut steps = Steps::new();
    steps
        .step(
            "build",
            "cargo build --release, some minutes the first time",
            async {
                let mut cargo = Command::new("cargo");
                without_cargo_variables(&mut cargo).current_dir(workspace.repository.root());
                cargo.args([
                    "build",
                    "--release",
                    "--bin",
                    "tick-consumer",
                    "--example",
                    "read_loop",
                ]);
                workspace.run("cargo build", &mut cargo).await?;
                Ok(("tick-consumer, read_loop".to_owned(), ()))
            },
        )
        .await?;
    let ministack = Ministack::start(&workspace).await?;
    let kafka = Kafka::start(KafkaKind::Apache, &workspace).await?;
    let bench = Bench {
        workspace,
        ministack,
        kafka,
    };
    let ticks = options.ticks;
    let bytes = steps
        .step("produce", "filling the topic", async {
            let bytes = bench.fill(ticks).await?;
            Ok((
                format!(
                    "{} ticks of {:.0} bytes",
                    wording::grouped(ticks),
                    bytes as f64 / ticks as f64
                ),
                bytes,
            ))
        })
        .await?;
    let mut figures = json!({ "ticks": ticks, "bytes_a_tick": bytes as f64 / ticks as f64 });
    let millions = ticks as f64 / 1e6;
    let bare = steps
        .step("bare", "librdkafka reads and does nothing", async {
            let (used, seconds) = bench.bare(ticks).await?;
            let cost = used.cpu_seconds / millions;
            Ok((
                format!(
                    "{cost:.2} cpu-s per million, {} a second",
                    wording::grouped((ticks as f64 / seconds) as u64)
                ),
                cost,
            ))
        })
        .await?;
    figures["bare_cpu_seconds_per_million"] = json!(bare);
    let own = bench
        .workspace
        .repository
        .path("target/release/tick-consumer");
    // The consumers run in another working directory.
    let other = options
        .against
        .as_ref()
        .map(std::path::absolute)
        .transpose()?;
    let binaries: Vec<&Path> = std::iter::once(own.as_path())
        .chain(other.as_deref())
        .collect();
    for format in ["parquet", "json", "csv"] {
        let entry = steps
            .step(format, "the consumer lands the topic", async {
                let best = bench.best(&binaries, format, &options).await?;
                let (used, seconds) = best[0];
                let cost = used.cpu_seconds / millions;
                let rate = ticks as f64 / seconds;
                let mut text = format!(
                    "{cost:.2} cpu-s per million ({:.2} × bare), {} a second, {:.0} MiB at most",
                    cost / bare,
                    wording::grouped(rate as u64),
                    used.peak_mebibytes
                );
                let mut entry = json!({
                    "cpu_seconds_per_million": cost,
                    "ratio_to_bare": cost / bare,
                    "ticks_a_second": rate,
                    "peak_mebibytes": used.peak_mebibytes,
                });
                if let Some((other, _)) = best.get(1) {
                    let ratio = used.cpu_seconds / other.cpu_seconds;
                    text += &format!("; {ratio:.3} × the other's CPU");
                    entry["ratio_to_other"] = json!(ratio);
                }
                Ok((text, entry))
            })
            .await?;
        figures[format] = entry;
    }
    let doing = format!(
        "{} ticks a second, max_age 250 ms, then kill -9",
        wording::grouped(STEADY_TICKS_PER_SECOND)
    );
    let (fresh, recovered) = steps
        .step("steady", &doing, async {
            let (fresh, recovered) = bench.steady().await?;
            let text = format!(
                "produced → readable p50 {:.0} ms, p99 {:.0} ms; \
                 after kill -9 and {} s of session: {:.1} s",
                fresh.0 * 1e3,
                fresh.1 * 1e3,
                SESSION_TIMEOUT.as_secs(),
                recovered
            );
            Ok((text, (fresh, recovered)))
        })
        .await?;
    figures["freshness_seconds"] = json!({ "p50": fresh.0, "p99": fresh.1 });
    figures["recovery_seconds_beyond_session"] = json!(recovered);
    let summary = bench.workspace.folder.join("figures.json");
    std::fs::write(&summary, format!("{figures:#}"))?;
    println!("figures in {}", summary.display());
    Ok(())
}

impl Bench {
    fn producer(&self) -> Result<Arc<ThreadedProducer<DefaultProducerContext>>> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", self.kafka.brokers())
            .set("linger.ms", "20")
            .set("queue.buffering.max.messages", "500000");
        Ok(Arc::new(config.create()?))
    }

    /// Fills the topic `ticks`. Returns the bytes of all values.
    async fn fill(&self, ticks: u64) -> Result<u64> {
        self.kafka.create_topic("ticks", PARTITIONS).await?;
        let producer = self.producer()?;
        tokio::task::spawn_blocking(move || {
            let mut bytes = 0;
            for number in 0..ticks {
                let value = tick(number, 1_700_000_000_000 + number);
                bytes += value.len() as u64;
                send(&producer, "ticks", number, &value)?;
            }
            producer.flush(STEP_TIMEOUT)?;
            anyhow::Ok(bytes)
        })
        .await?
    }

    async fn bare(&self, ticks: u64) -> Result<(Used, f64)> {
        let mut command = Command::new(
            self.workspace
                .repository
                .path("target/release/examples/read_loop"),
        );
        command.args([
            self.kafka.brokers(),
            "ticks",
            &PARTITIONS.to_string(),
            &ticks.to_string(),
        ]);
        run_measured(&self.workspace, "read loop", &mut command, STEP_TIMEOUT).await
    }

    /// Lands the topic with each binary in turns, so that a drift of the machine's speed
    /// does not favour one. Returns the cheapest round of each.
    async fn best(
        &self,
        binaries: &[&Path],
        format: &str,
        options: &Options,
    ) -> Result<Vec<(Used, f64)>> {
        let mut best: Vec<Option<(Used, f64)>> = vec![None; binaries.len()];
        for round in 0..options.rounds.max(1) {
            for (place, binary) in binaries.iter().enumerate() {
                let landed = self
                    .land(
                        binary,
                        &format!("{format}-{round}-{place}"),
                        format,
                        options.ticks,
                    )
                    .await?;
                if best[place].is_none_or(|(used, _)| landed.0.cpu_seconds < used.cpu_seconds) {
                    best[place] = Some(landed);
                }
            }
        }
        Ok(best.into_iter().flatten().collect())
    }

    async fn consumer(
        &self,
        binary: &Path,
        name: &str,
        topic: &str,
        arguments: &[&str],
    ) -> Result<ProcessId> {
        let mut command = Command::new(binary);
        command
            .env_clear()
            .envs(self.ministack.aws.environment())
            .current_dir(&self.workspace.folder);
        command
            .args(["--brokers", self.kafka.brokers(), "--topic", topic])
            .args(arguments);
        self.workspace
            .processes
            .start(name, &mut command, &self.log(name))
            .await
    }

    fn log(&self, name: &str) -> PathBuf {
        self.workspace.log(name)
    }

    /// Lands the topic. Returns the resources and seconds from the first record that was
    /// read to the last one that landed.
    async fn land(
        &self,
        binary: &Path,
        name: &str,
        format: &str,
        ticks: u64,
    ) -> Result<(Used, f64)> {
        self.ministack.aws.create_bucket(name).await?;
        let arguments = [
            "--bucket",
            name,
            "--format",
            format,
            "--group",
            name,
            "--max-age",
            "2s",
        ];
        let process = self.consumer(binary, name, "ticks", &arguments).await?;
        wait(|| Ok(!lines(&self.log(name), "partition_reading")?.is_empty())).await?;
        let begun = Instant::now();
        wait(|| Ok(sealed_rows(&self.log(name))? >= ticks)).await?;
        let seconds = begun.elapsed().as_secs_f64();
        let used = Used::by(process).context("the consumer has ended")?;
        self.workspace
            .processes
            .stop(process, Duration::from_secs(10))
            .await?;
        Ok((used, seconds))
    }

    /// Lands a steady stream. Returns the freshness (p50, p99) of its records, and the
    /// time from the session's end until a killed consumer's partitions land again.
    async fn steady(&self) -> Result<((f64, f64), f64)> {
        self.kafka.create_topic("steady", PARTITIONS).await?;
        self.ministack.aws.create_bucket("steady").await?;
        let config = self.workspace.folder.join("session.yaml");
        std::fs::write(
            &config,
            format!(
                "kafka:\n  options:\n    session.timeout.ms: \"{}\"\n",
                SESSION_TIMEOUT.as_millis()
            ),
        )?;
        let config = config.display().to_string();
        let arguments = [
            "--bucket",
            "steady",
            "--max-age",
            "250ms",
            "--config",
            &config,
        ];
        let binary = self
            .workspace
            .repository
            .path("target/release/tick-consumer");
        let first = self
            .consumer(&binary, "first", "steady", &arguments)
            .await?;
        wait(|| Ok(lines(&self.log("first"), "partition_reading")?.len() == PARTITIONS as usize))
            .await?;
        let producer = self.producer()?;
        let produced = tokio::task::spawn_blocking(move || {
            let begun = std::time::Instant::now();
            let mut number = 0;
            while begun.elapsed() < STEADY_DURATION {
                let due = (begun.elapsed().as_secs_f64() * STEADY_TICKS_PER_SECOND as f64) as u64;
                while number < due {
                    send(
                        &producer,
                        "steady",
                        number,
                        &tick(number, 1_700_000_000_000),
                    )?;
                    number += 1;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            producer.flush(STEP_TIMEOUT)?;
            anyhow::Ok(number)
        });
        let total = produced.await??;
        wait(|| Ok(sealed_rows(&self.log("first"))? >= total)).await?;
        let mut fresh = Vec::new();
        // The first batch of each partition does not count: its records waited in the
        // producer, which takes a second to connect.
        for line in lines(&self.log("first"), "batch_sealed")?.split_off(PARTITIONS as usize) {
            let freshness = line["freshness_seconds"]
                .as_f64()
                .context("no freshness_seconds")?;
            let open = line["open_seconds"].as_f64().context("no open_seconds")?;
            // The first record waited the longest, the last one only for the seal. The
            // records between them are evenly spread.
            fresh.extend((0..20).map(|part| freshness - open * f64::from(part) / 20.0));
        }
        self.workspace.processes.signal(first, Signal::KILL).await;
        let killed = Instant::now();
        self.workspace.processes.wait(first).await?;
        let producer = self.producer()?;
        tokio::task::spawn_blocking(move || {
            (0..1_000).try_for_each(|number| {
                send(
                    &producer,
                    "steady",
                    number,
                    &tick(number, 1_700_000_000_000),
                )
            })?;
            Ok::<_, anyhow::Error>(producer.flush(STEP_TIMEOUT)?)
        })
        .await??;
        let second = self
            .consumer(&binary, "second", "steady", &arguments)
            .await?;
        wait(|| Ok(sealed_rows(&self.log("second"))? >= 1_000)).await?;
        let recovered = killed.elapsed().as_secs_f64() - SESSION_TIMEOUT.as_secs_f64();
        self.workspace
            .processes
            .stop(second, Duration::from_secs(10))
            .await?;
        Ok((
            (quantile(&mut fresh, 0.5)?, quantile(&mut fresh, 0.99)?),
            recovered,
        ))
    }
}

/// A tick of about 150 bytes.
fn tick(number: u64, time: u64) -> String {
    let price = 10_000 + number * 7919 % 5_000;
    format!(
        concat!(
            r#"{{"symbol":"SYM{:02}","event_time":{},"price":{}.{:02},"volume":{},"#,
            r#""open":{}.25,"high":{}.75,"low":{}.05,"close":{}.50,"venue":"XNYS"}}"#,
        ),
        number % 50,
        time,
        price / 100,
        price % 100,
        number % 1_000,
        price / 100,
        price / 100 + 1,
        price / 100 - 1,
        price / 100,
    )
}

fn send(
    producer: &ThreadedProducer<DefaultProducerContext>,
    topic: &str,
    number: u64,
    value: &str,
) -> Result<()> {
    let partition = (number % PARTITIONS.unsigned_abs() as u64) as i32;
    let mut record = BaseRecord::<(), str>::to(topic)
        .partition(partition)
        .payload(value);
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((error, back))
                if error.rdkafka_error_code()
                    == Some(rdkafka::types::RDKafkaErrorCode::QueueFull) =>
            {
                record = back;
                std::thread::sleep(Duration::from_millis(5));
            }
            Err((error, _)) => return Err(error.into()),
        }
    }
}

/// Returns a log's lines with this event.
fn lines(log: &Path, event: &str) -> Result<Vec<Value>> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let parsed = text
        .lines()
        .filter(|line| line.contains(event))
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    Ok(parsed.filter(|line| line["event"] == event).collect())
}

/// Returns the sum of the rows of all sealed batches in a consumer's log.
fn sealed_rows(log: &Path) -> Result<u64> {
    let sealed = lines(log, "batch_sealed")?;
    Ok(sealed.iter().filter_map(|line| line["rows"].as_u64()).sum())
}

async fn wait(mut ready: impl FnMut() -> Result<bool>) -> Result<()> {
    let begun = Instant::now();
    while !ready()? {
        ensure!(
            begun.elapsed() < STEP_TIMEOUT,
            "took more than {} s",
            STEP_TIMEOUT.as_secs()
        );
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

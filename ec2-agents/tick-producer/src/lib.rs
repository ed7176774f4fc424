//! Sends ticks from a CSV file or a synthetic market to Kafka: key = symbol, value = JSON, idempotent, acknowledged by all replicas.

mod cli;
mod config;
mod progress;
mod rejects;
mod report;
mod sender;
mod source;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tick::EventTime;
use tokio_util::sync::CancellationToken;

pub use cli::{Cli, Command};
pub use config::{Compression, Config, Csv, EventTimes, Order, Send, SourceKind, Symbols, Synthetic};
use progress::Progress;
use rejects::Rejects;
pub use report::Report;
use sender::Sender;
use source::{Item, Source};

/// Validates the source and the connection that [`run`] needs, and says what it found.
///
/// # Errors
/// Names the setting, its value and the remedy.
pub fn check(config: &Config) -> Result<()> {
    let source = Source::open(config)?;
    println!("source  {}", source.name());
    let partitions = config.kafka.check_topic()?;
    println!("kafka   topic {:?} on {}: {partitions} partitions", config.kafka.topic, config.kafka.brokers);
    println!("ok");
    Ok(())
}

/// Sends the source's ticks until it ends or `shutdown` is cancelled, then waits for what is on its way.
///
/// # Errors
/// The source or Kafka cannot be reached at the start, the source cannot be read on, or a row is no tick and `csv.strict` is set.
pub fn run(config: &Config, shutdown: &CancellationToken) -> Result<Report> {
    let mut source = Source::open(config)?;
    config.kafka.check_topic()?;
    let mut sender = Sender::new(config)?;
    agent::tell_ready();
    let mut rejects = Rejects::new(config, &source);
    let mut progress = Progress::new(&source);
    let mut report = Report::new(source.name());
    let mut sent: u64 = 0;
    let started = Instant::now();
    let stopped_by = loop {
        if shutdown.is_cancelled() {
            break None;
        }
        let item = match source.next() {
            Ok(Some(item)) => item,
            Ok(None) if config.send.repeat && report.rows_read > 0 => {
                source = Source::open(config)?;
                continue;
            }
            Ok(None) => break None,
            Err(error) => break Some(error),
        };
        report.rows_read += 1;
        match item {
            Item::Blank => report.rows_skipped += 1,
            Item::Rejected(row) => {
                report.rows_rejected += 1;
                if config.csv.strict {
                    break Some(anyhow::anyhow!(
                        "{}\n  csv.strict is set: stopped at the first row that is no tick",
                        row.message(source.name())
                    ));
                }
                rejects.keep(&row)?;
            }
            Item::Tick(mut tick) => {
                if let Some(rate) = config.send.rate {
                    wait_until(started + Duration::from_secs_f64(sent as f64 / rate), shutdown);
                }
                if config.send.event_time == EventTimes::Now {
                    tick.event_time = EventTime::now();
                }
                sender.send(&tick, shutdown)?;
                sent += 1;
            }
        }
        progress.update(source.position(), sent, sender.outstanding());
    };
    sender.finish(shutdown, |outstanding| progress.update(source.position(), sent, outstanding));
    progress.finish();
    report.rejects_file = rejects.finish()?;
    report.delivered(&sender, started.elapsed());
    match stopped_by {
        Some(error) => Err(error).with_context(|| format!("after {report}")),
        None if report.rows_read == 0 && !shutdown.is_cancelled() => bail!("{} has a header but no rows", source.name()),
        None => Ok(report),
    }
}

fn wait_until(due: Instant, shutdown: &CancellationToken) {
    while let Some(rest) = due.checked_duration_since(Instant::now()).filter(|rest| !rest.is_zero()) {
        if shutdown.is_cancelled() {
            return;
        }
        std::thread::sleep(rest.min(Duration::from_millis(100)));
    }
}

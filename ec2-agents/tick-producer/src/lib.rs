//! Sends ticks from a CSV file or a synthetic market to Kafka: key = symbol, value =
//! JSON, idempotent, acknowledged by all replicas.

mod cli;
mod config;
mod progress;
mod rejects;
mod report;
mod sender;
mod source;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tick::{EventTime, Tick};
use tokio_util::sync::CancellationToken;

pub use cli::{Cli, Command};
pub use config::{
    Compression, Config, CsvSettings, EventTimes, Order, SendSettings, SourceKind, Symbols,
    SyntheticSettings,
};
use progress::Progress;
use rejects::Rejects;
pub use report::Report;
use sender::{SendOutcome, Sender};
use source::{Item, Reason, RejectedRow, Source};

/// Validates the source and the connection that [`run`] needs, and prints the result.
///
/// # Errors
/// The source or Kafka cannot be used; the error names the setting, its value and the
/// remedy.
pub fn check(config: &Config) -> Result<()> {
    let source = Source::open(config)?;
    println!("source  {}", source.name());
    let partitions = config.kafka.check_topic()?;
    println!(
        "kafka   topic {:?} on {}: {partitions} partitions",
        config.kafka.topic, config.kafka.brokers
    );
    println!("ok");
    Ok(())
}

/// Sends the source's ticks until it ends or `shutdown` is cancelled, then waits for the
/// outstanding acknowledgements.
///
/// # Errors
/// The source or Kafka cannot be reached at the start, reading the source fails later, a
/// rejected row cannot be kept, or a row is rejected and `csv.strict` is set. In each
/// case the ticks before it are sent and counted first.
pub fn run(config: &Config, shutdown: &CancellationToken) -> Result<Report> {
    let source = Source::open(config)?;
    config.kafka.check_topic()?;
    let mut run = Run {
        config,
        shutdown,
        sender: Sender::new(config)?,
        rejects: Rejects::new(config, &source),
        progress: Progress::new(&source),
        report: Report::new(source.name()),
        source,
        sent: 0,
        started: Instant::now(),
    };
    agent::tell_ready();
    let sent = run.send_all();
    run.finish(sent)
}

/// A source on its way to Kafka.
struct Run<'a> {
    config: &'a Config,
    shutdown: &'a CancellationToken,
    source: Source,
    sender: Sender,
    rejects: Rejects,
    progress: Progress,
    report: Report,
    sent: u64,
    started: Instant,
}

impl Run<'_> {
    /// Sends every tick of the source.
    fn send_all(&mut self) -> Result<()> {
        while !self.shutdown.is_cancelled() {
            let Some(item) = self.source.next()? else {
                if !self.config.send.repeat || self.report.rows_read == 0 {
                    break;
                }
                self.source = Source::open(self.config)?;
                continue;
            };
            self.report.rows_read += 1;
            match item {
                Item::Blank => self.report.rows_skipped += 1,
                Item::Rejected(row) => self.reject(&row)?,
                Item::Tick(tick) => self.send(tick)?,
            }
            self.progress
                .update(self.source.position(), self.sent, self.sender.outstanding());
        }
        Ok(())
    }

    fn send(&mut self, mut tick: Tick) -> Result<()> {
        if let Some(rate) = self.config.send.rate {
            wait_until(
                self.started + Duration::from_secs_f64(self.sent as f64 / rate),
                self.shutdown,
            );
        }
        if self.config.send.event_time == EventTimes::Now {
            tick.event_time = EventTime::now();
        }
        match self.sender.send(&tick, self.shutdown)? {
            SendOutcome::Queued => self.sent += 1,
            SendOutcome::TooLarge { bytes, limit } => {
                let reason = Reason::TooLarge { bytes, limit };
                let message = reason.to_string();
                let row = self
                    .source
                    .reject(reason)
                    .with_context(|| format!("a tick of {}: {message}", tick.symbol))?;
                self.reject(&row)?;
            }
        }
        Ok(())
    }

    fn reject(&mut self, row: &RejectedRow) -> Result<()> {
        self.report.rows_rejected += 1;
        if self.config.csv.strict {
            bail!(
                "{}\n  csv.strict is set: stopped at the first rejected row",
                row.message(self.source.name())
            );
        }
        self.rejects.keep(row)
    }

    /// Waits for the outstanding acknowledgements and returns the report. If an error
    /// ended the source, returns that error with the report in its text.
    fn finish(mut self, sent: Result<()>) -> Result<Report> {
        let position = self.source.position();
        let count = self.sent;
        self.sender.finish(self.shutdown, |outstanding| {
            self.progress.update(position, count, outstanding)
        });
        self.progress.finish();
        let mut report = self.report;
        let kept = self.rejects.finish().map(|file| report.rejects_file = file);
        report.delivered(&self.sender, self.started.elapsed());
        sent.and(kept).with_context(|| format!("after {report}"))?;
        if report.rows_read == 0 && !self.shutdown.is_cancelled() {
            bail!("{} has a header but no rows", self.source.name());
        }
        Ok(report)
    }
}

fn wait_until(due: Instant, shutdown: &CancellationToken) {
    while let Some(rest) = due
        .checked_duration_since(Instant::now())
        .filter(|rest| !rest.is_zero())
    {
        if shutdown.is_cancelled() {
            return;
        }
        std::thread::sleep(rest.min(Duration::from_millis(100)));
    }
}

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tracing::info;

use crate::source::Source;

const LINE_INTERVAL: Duration = Duration::from_secs(5);
const BAR_INTERVAL: Duration = Duration::from_millis(100);

/// The progress of a run: a bar on a terminal, otherwise log lines.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    due: Instant,
    calls: u32,
}

impl Progress {
    pub(crate) fn new(source: &Source) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let template = "{bar:30} {percent:>3} %  {msg}  {elapsed}";
            match source.length() {
                // The template is a constant. A wrong one would only give the default
                // style.
                Some(length) => ProgressBar::new(length).with_style(
                    ProgressStyle::with_template(template)
                        .unwrap_or_else(|_| ProgressStyle::default_bar()),
                ),
                None => ProgressBar::new_spinner(),
            }
        });
        let due = Instant::now()
            + if bar.is_some() {
                Duration::ZERO
            } else {
                LINE_INTERVAL
            };
        Self { bar, due, calls: 0 }
    }

    pub(crate) fn update(&mut self, position: u64, sent: u64, outstanding: u64) {
        // Reading the clock for every tick would be slow. Every 64th call is enough, but
        // not while ticks wait for Kafka: then calls are rare.
        self.calls = self.calls.wrapping_add(1);
        if !self.calls.is_multiple_of(64) && outstanding == 0 || Instant::now() < self.due {
            return;
        }
        match &self.bar {
            Some(bar) => {
                bar.set_message(format!("{sent} ticks, {outstanding} not acknowledged yet"));
                bar.set_position(position);
                self.due = Instant::now() + BAR_INTERVAL;
            }
            None => {
                info!(sent, outstanding, "sending");
                self.due = Instant::now() + LINE_INTERVAL;
            }
        }
    }

    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

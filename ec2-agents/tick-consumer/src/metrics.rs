//! Every metric: its name, with its unit, and its meaning.
//!
//! Counters are there at 0 from the start, and the first answer to `/metrics` shows them
//! all at 0, even if events have happened: the CloudWatch agent drops the first value of
//! a series. Gauges of partitions are there while they are known: a 0 would say that all
//! is well.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use metrics_exporter_prometheus::PrometheusHandle;

use crate::status::{Status, View};

/// Counts events.
pub(crate) struct Counter {
    name: &'static str,
    meaning: &'static str,
    /// Events that wait for the first answer.
    held: AtomicU64,
}

/// The counters have been shown at 0.
static HAS_ANSWERED: AtomicBool = AtomicBool::new(false);

/// Counts events by a label. Each series comes with its first event.
pub(crate) struct LabelledCounter {
    name: &'static str,
    label: &'static str,
    meaning: &'static str,
}

/// A value that goes up and down.
pub(crate) struct Gauge {
    name: &'static str,
    meaning: &'static str,
}

/// How often values of each size occur.
pub(crate) struct Histogram {
    name: &'static str,
    meaning: &'static str,
}

pub(crate) static LANDED_RECORDS: Counter = Counter::new(
    "ticklake_landed_records_total",
    "Records that landed as rows",
);
pub(crate) static DEAD_LETTERS: Counter = Counter::new(
    "ticklake_dead_letters_total",
    "Records that landed as dead letters",
);
pub(crate) static INEXACT_NUMBERS: Counter = Counter::new(
    "ticklake_inexact_numbers_total",
    "Numbers that landed and that a double does not hold; their digits are in extra",
);
pub(crate) static OBJECTS: Counter = Counter::new("ticklake_objects_total", "Objects created");
pub(crate) static OBJECT_BYTES: Counter =
    Counter::new("ticklake_object_bytes_total", "Bytes of objects created");
pub(crate) static LOST_OFFSETS: Counter = Counter::new(
    "ticklake_lost_offsets_total",
    "Offsets registered as a gap at the log's start",
);
pub(crate) static REBALANCES: Counter =
    Counter::new("ticklake_rebalances_total", "Assignments of partitions");
static COUNTERS: [&Counter; 7] = [
    &LANDED_RECORDS,
    &DEAD_LETTERS,
    &INEXACT_NUMBERS,
    &OBJECTS,
    &OBJECT_BYTES,
    &LOST_OFFSETS,
    &REBALANCES,
];

pub(crate) const SEALED_BATCHES: LabelledCounter = LabelledCounter {
    name: "ticklake_sealed_batches_total",
    label: "cause",
    meaning: "Batches that landed, by the cause of their sealing",
};
pub(crate) const RETRIES: LabelledCounter = LabelledCounter {
    name: "ticklake_retries_total",
    label: "operation",
    meaning: "Attempts that failed and are made again, by their kind",
};

pub(crate) const BUFFERED_BYTES: Gauge = Gauge {
    name: "ticklake_buffered_bytes",
    meaning: "Memory of batches, open and being sealed",
};
pub(crate) const OPEN_BATCHES: Gauge = Gauge {
    name: "ticklake_open_batches",
    meaning: "Batches with records that are not being sealed yet",
};

pub(crate) const FRESHNESS_SECONDS: Histogram = Histogram {
    name: "ticklake_freshness_seconds",
    meaning: "From the Kafka timestamp of a batch's first record to its landing",
};
pub(crate) const SEAL_SECONDS: Histogram = Histogram {
    name: "ticklake_seal_seconds",
    meaning: "From the beginning of a seal to its end",
};

/// Reads a partition's gauge; `None` while it is not known.
type Reading = fn(&View) -> Option<f64>;

const PARTITION_GAUGES: [(&str, &str, Reading); 5] = [
    (
        "ticklake_parked",
        "1 while a partition is parked: it has a fault that an operator has to mend",
        |view| Some(f64::from(u8::from(view.is_parked))),
    ),
    (
        "ticklake_lag_records",
        "Records of a partition that have not landed, markers of open transactions included",
        |view| Some(view.progress?.lag as f64),
    ),
    (
        "ticklake_stalled_seconds",
        "For how long a partition has had records that do not land, none of them; 0 while some do \
         or all have",
        |view| Some(view.progress?.stalled_seconds),
    ),
    (
        "ticklake_next_offset",
        "The offset behind what has landed of a partition",
        |view| Some(view.landed?.next as f64),
    ),
    (
        "ticklake_landing_delay_seconds",
        "From the Kafka timestamp of the newest batch's first record to its landing",
        |view| view.landed?.delay_seconds,
    ),
];

impl Counter {
    const fn new(name: &'static str, meaning: &'static str) -> Self {
        Self {
            name,
            meaning,
            held: AtomicU64::new(0),
        }
    }

    /// Counts events that have happened.
    pub(crate) fn count(&self, events: u64) {
        // Before the look, so that an answer that comes in between shows them next time.
        self.held.fetch_add(events, Ordering::SeqCst);
        if HAS_ANSWERED.load(Ordering::SeqCst) {
            self.release();
        }
    }

    fn release(&self) {
        metrics::counter!(self.name).increment(self.held.swap(0, Ordering::SeqCst));
    }
}

impl LabelledCounter {
    /// Counts an event.
    pub(crate) fn count(&self, value: &str) {
        metrics::counter!(self.name, self.label => value.to_owned()).increment(1);
    }
}

impl Gauge {
    pub(crate) fn set(&self, value: f64) {
        metrics::gauge!(self.name).set(value);
    }
}

impl Histogram {
    pub(crate) fn record(&self, value: f64) {
        metrics::histogram!(self.name).record(value);
    }
}

/// Describes the metrics of the recorder, and lets those without a label begin at 0.
pub(crate) fn register() {
    for Counter { name, meaning, .. } in COUNTERS {
        metrics::describe_counter!(*name, *meaning);
        metrics::counter!(*name).absolute(0);
    }
    for LabelledCounter { name, meaning, .. } in [SEALED_BATCHES, RETRIES] {
        metrics::describe_counter!(name, meaning);
    }
    for Gauge { name, meaning } in [BUFFERED_BYTES, OPEN_BATCHES] {
        metrics::describe_gauge!(name, meaning);
        metrics::gauge!(name).set(0);
    }
    for Histogram { name, meaning } in [FRESHNESS_SECONDS, SEAL_SECONDS] {
        metrics::describe_histogram!(name, meaning);
    }
}

/// Returns an answer to `/metrics`.
pub(crate) fn answer(handle: &PrometheusHandle, status: &Status) -> String {
    let text = handle.render() + &of_status(status);
    HAS_ANSWERED.store(true, Ordering::SeqCst);
    COUNTERS.iter().for_each(|counter| counter.release());
    text
}

/// Returns the gauges that follow from the status, as Prometheus reads them. The recorder
/// cannot take a series back.
fn of_status(status: &Status) -> String {
    let views = status.views();
    let mut text = String::new();
    let is_ready = u8::from(status.problems().is_empty());
    family(
        &mut text,
        "ticklake_ready",
        "1 while the consumer is in its group and reads every partition it has",
    );
    // Writing to a string cannot fail.
    let _ = writeln!(text, "ticklake_ready {is_ready}");
    for (name, meaning, read) in PARTITION_GAUGES {
        family(&mut text, name, meaning);
        for (view, value) in views.iter().filter_map(|view| Some((view, read(view)?))) {
            let _ = writeln!(text, "{name}{{partition=\"{}\"}} {value}", view.partition);
        }
    }
    text
}

fn family(text: &mut String, name: &str, meaning: &str) {
    let _ = write!(text, "# HELP {name} {meaning}\n# TYPE {name} gauge\n");
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    /// They were the counter's first value, which the CloudWatch agent drops: no alarm
    /// heard of dead letters in the first minute after a start.
    #[test]
    fn events_before_the_first_answer_are_shown_by_the_second() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let status = Arc::new(Status::default());
        let shown = || {
            let text = answer(&recorder.handle(), &status);
            let mut lines = text.lines().map(str::to_owned);
            lines.find(|line| line.starts_with("ticklake_dead_letters_total "))
        };
        metrics::with_local_recorder(&recorder, || {
            register();
            DEAD_LETTERS.count(7);
            assert_eq!(shown().as_deref(), Some("ticklake_dead_letters_total 0"));
            assert_eq!(shown().as_deref(), Some("ticklake_dead_letters_total 7"));
            DEAD_LETTERS.count(1);
            assert_eq!(shown().as_deref(), Some("ticklake_dead_letters_total 8"));
        });
    }
}

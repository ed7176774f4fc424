//! Every metric: its name, with its unit, and its meaning.
//!
//! Counters are there at 0 from the start, as the CloudWatch agent drops the first value
//! of a series. Gauges of partitions are there while they are known: a 0 would say that
//! all is well.

use std::fmt::Write as _;
use std::time::Duration;

use crate::status::{Status, View};

/// The CloudWatch agent asks once a minute: after so long it has seen a counter at 0.
const SEEN: Duration = Duration::from_secs(120);

const COUNTERS: [(&str, &str); 7] = [
    (
        "ticklake_landed_records_total",
        "Records that landed as rows",
    ),
    (
        "ticklake_dead_letters_total",
        "Records that landed as dead letters",
    ),
    (
        "ticklake_inexact_numbers_total",
        "Numbers that landed and that a double does not hold; their digits are in extra",
    ),
    ("ticklake_objects_total", "Objects created"),
    ("ticklake_object_bytes_total", "Bytes of objects created"),
    (
        LOST_OFFSETS,
        "Offsets registered as a gap at the log's start; counted two minutes after they were",
    ),
    ("ticklake_rebalances_total", "Assignments of partitions"),
];
const LOST_OFFSETS: &str = "ticklake_lost_offsets_total";

/// Counters with a label: each series comes with its first event.
const LABELLED_COUNTERS: [(&str, &str); 2] = [
    (
        "ticklake_sealed_batches_total",
        "Batches that landed, by what they were sealed for",
    ),
    (
        "ticklake_retries_total",
        "Attempts that failed and are made again, by what they are",
    ),
];

const GAUGES: [(&str, &str); 2] = [
    (
        "ticklake_buffered_bytes",
        "Memory of batches, open and being sealed",
    ),
    (
        "ticklake_open_batches",
        "Batches with records that are not being sealed yet",
    ),
];

const HISTOGRAMS: [(&str, &str); 2] = [
    (
        "ticklake_freshness_seconds",
        "From the Kafka timestamp of a batch's first record to its landing",
    ),
    (
        "ticklake_seal_seconds",
        "From the beginning of a seal to its end",
    ),
];

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
        "For how long a partition has had records that do not land, none of them; 0 while some do or all have",
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

/// Describes the metrics of the recorder, and lets those without a label begin at 0.
pub(crate) fn register() {
    for (name, meaning) in COUNTERS {
        metrics::describe_counter!(name, meaning);
        metrics::counter!(name).absolute(0);
    }
    for (name, meaning) in LABELLED_COUNTERS {
        metrics::describe_counter!(name, meaning);
    }
    for (name, meaning) in GAUGES {
        metrics::describe_gauge!(name, meaning);
        metrics::gauge!(name).set(0);
    }
    for (name, meaning) in HISTOGRAMS {
        metrics::describe_histogram!(name, meaning);
    }
}

/// Counts offsets that are lost. Most are found right after a start, when the CloudWatch
/// agent has not seen the counter at 0 yet, and would take their number for its
/// beginning.
pub(crate) fn count_lost_offsets(offsets: u64) {
    tokio::spawn(count_after(SEEN, offsets));
}

async fn count_after(wait: Duration, offsets: u64) {
    tokio::time::sleep(wait).await;
    metrics::counter!(LOST_OFFSETS).increment(offsets);
}

/// Returns the gauges that follow from the status, as Prometheus reads them. The recorder
/// cannot take a series back.
pub(crate) fn of_status(status: &Status) -> String {
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
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    #[test]
    fn offsets_lost_at_the_start_are_counted_once_the_counter_was_seen_at_0() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let shown = || {
            recorder
                .handle()
                .render()
                .lines()
                .find(|line| line.starts_with(LOST_OFFSETS))
                .map(str::to_owned)
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime");
        metrics::with_local_recorder(&recorder, || {
            register();
            runtime.block_on(async {
                count_lost_offsets(7);
                let counted = tokio::spawn(count_after(Duration::from_millis(50), 3));
                tokio::task::yield_now().await;
                assert_eq!(shown().as_deref(), Some("ticklake_lost_offsets_total 0"));
                counted.await.expect("counted");
            });
        });
        assert_eq!(shown().as_deref(), Some("ticklake_lost_offsets_total 3"));
    }
}

//! `cargo bench --bench batch`: a batch's two costs for each record, taking it in and
//! encoding it.

use std::time::Instant;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use lake::{Batch, Format, Record, Routing, Rules};

const RECORDS: i64 = 10_000;

fn main() {
    divan::main();
}

#[divan::bench]
fn push(bencher: Bencher<'_, '_>) {
    let values = values();
    bencher
        .counter(ItemsCount::new(values.len()))
        .bench(|| batch(black_box(&values)));
}

#[divan::bench(args = Format::ALL)]
fn seal(bencher: Bencher<'_, '_>, format: Format) {
    let batch = batch(&values());
    bencher
        .counter(ItemsCount::new(RECORDS as usize))
        .bench(|| black_box(&batch).seal(format, "topic-id", "attempt"));
}

/// Ticks of 50 symbols, whose prices move as those of a market do.
fn values() -> Vec<Vec<u8>> {
    let value = |n: i64| {
        let price = 100.0 + (n % 50) as f64 + (n as f64 / 300.0).sin();
        format!(
            r#"{{"symbol":"S{}","event_time":{},"price":{price:.4},"volume":{}}}"#,
            n % 50,
            1_795_237_200_000 + n,
            n % 977
        )
    };
    (0..RECORDS).map(|n| value(n).into_bytes()).collect()
}

fn batch(values: &[Vec<u8>]) -> Batch {
    let rules = Rules {
        routing: Routing::default(),
        max_record_bytes: 1 << 20,
        skip_tombstones: false,
    };
    let mut batch = Batch::new("ticks", 0, 0, rules);
    let now = Instant::now();
    for (offset, value) in (0..).zip(values) {
        let record = Record {
            offset,
            timestamp_ms: Some(1_795_237_200_000),
            value: Some(value),
            ..Record::default()
        };
        batch.push(&record, now);
    }
    batch
}

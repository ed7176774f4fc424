//! Many lake partitions, little memory, and an S3 that is away for longer than a group is
//! patient (G3).

#![allow(clippy::expect_used, reason = "a test says what it expected")]

use std::time::{Duration, Instant};

use bench::Bench;
use lake::{Batch, Format, Granularity, PartitionBy, Record, Routing, Rules};
use local::{KafkaKind, ProcessId, free_port};
use serde_json::json;

mod bench;

/// Returns the most memory that a running process had so far, in MiB.
fn peak(process: ProcessId) -> u64 {
    bench::peak_mebibytes(process).expect("a process")
}

async fn produce(bench: &Bench, partition: i32, records: i64, value: impl Fn(i64) -> String) {
    let mut sent = Vec::new();
    for number in 0..records {
        let value = value(number);
        let record = rdkafka::producer::FutureRecord::<(), _>::to("ticks")
            .partition(partition)
            .payload(&value);
        sent.push(
            bench
                .producer
                .send_result(record)
                .map_err(|(error, _)| error)
                .expect("queued"),
        );
    }
    for delivery in sent {
        delivery
            .await
            .expect("an answer")
            .map_err(|(error, _)| error)
            .expect("a delivery");
    }
}

/// confluentinc/kafka-connect-storage-cloud #177: the heap grows with the number of open
/// paths. Ten thousand of them, 12 partitions, 256 MiB. pinterest/secor #328: a batch
/// with 577 keys; here each has 833.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_lake_partitions_stay_below_256_mebibytes() {
    let bench = Bench::with_partitions(KafkaKind::Mock, 12).await;
    for partition in 0..12 {
        // 833 hours, each three times, a record of one hour after a record of the other.
        produce(&bench, partition, 2_499, |number| {
            format!(
                r#"{{"symbol":"A","event_time":{},"price":1,"n":{number}}}"#,
                1_700_000_000_000 + (number % 833) * 3_600_000
            )
        })
        .await;
    }
    let process = bench
        .start(
            "consumer",
            &[
                "--partition-by",
                "event-time",
                "--memory-limit",
                "256MiB",
                "--max-age",
                "3s",
                "--format",
                "parquet",
            ],
        )
        .await;
    let manifests = || {
        bench
            .events("consumer", "batch_sealed", &json!({"objects": 833}))
            .len()
    };
    for _ in 0..600 {
        if manifests() == 12 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let (manifests, peak) = (manifests(), peak(process));
    println!("12 batches of 833 objects each: {peak} MiB at most");
    assert_eq!(manifests, 12, "{}", bench.said("consumer"));
    assert!(peak < 256, "{peak} MiB");
    bench.stop(process, "consumer").await;
    bench.end().await;
}

/// Records that do not fit are sealed early, and then left in Kafka: nothing is read
/// without room for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_larger_than_memory_lands_within_it() {
    let bench = Bench::with_partitions(KafkaKind::Apache, 4).await;
    // 160 MB of values.
    let note = "x".repeat(900);
    for partition in 0..4 {
        produce(&bench, partition, 40_000, |number| {
            format!(r#"{{"symbol":"A","event_time":{number},"price":1,"note":"{note}{number}"}}"#)
        })
        .await;
    }
    let process = bench
        .start("consumer", &["--memory-limit", "128MiB", "--max-age", "1h"])
        .await;
    for partition in 0..4 {
        bench.produce_mark(partition, "consumer").await;
    }
    let peak = peak(process);
    println!("160 MB within 128 MiB: {peak} MiB at most");
    assert!(peak < 128, "{peak} MiB");
    let sealed = bench.events("consumer", "batch_sealed", &json!({"cause": "memory"}));
    assert!(
        !sealed.is_empty(),
        "nothing had to make room: {}",
        bench.said("consumer")
    );
    bench.stop(process, "consumer").await;
    let report = bench.expect_whole().await;
    for partition in report["partitions"].as_array().expect("partitions") {
        assert_eq!(
            (&partition["landed"], &partition["dead_letters"]),
            (&40_000.into(), &1.into()),
            "{report:#}"
        );
    }
    bench.end().await;
}

/// Batches that a consumer with more memory registered and did not complete; the first of
/// them is larger than all that this one has for batches.
#[tokio::test(flavor = "multi_thread")]
async fn twelve_incomplete_batches_of_a_larger_consumer_are_completed_within_256_mebibytes() {
    let bench = Bench::with_partitions(KafkaKind::Apache, 12).await;
    let topic_id = bench.topic_id("ticks").await;
    let note = "x".repeat(900);
    let value = |number: i64| {
        format!(
            r#"{{"symbol":"A","event_time":{},"price":1,"note":"{note}{number}"}}"#,
            number % 5 * 3_600_000
        )
    };
    let routing = Routing {
        by: PartitionBy::EventTime,
        granularity: Granularity::Hour,
    };
    let rules = Rules {
        routing,
        max_record_bytes: 1 << 20,
        skip_tombstones: false,
    };
    let mut rows = 0;
    for partition in 0..12 {
        let records = if partition == 0 { 90_000 } else { 25_000 };
        rows += records;
        produce(&bench, partition, records, value).await;
        let mut batch = Batch::new("ticks", partition, 0, rules);
        for offset in 0..records {
            let value = value(offset);
            batch.push(
                &Record {
                    offset,
                    value: Some(value.as_bytes()),
                    ..Record::default()
                },
                Instant::now(),
            );
        }
        let format = Format::ALL[partition as usize % 3];
        let (manifest, _) = batch
            .seal(format, &topic_id, &format!("the dead one {partition}"))
            .expect("a manifest");
        bench.put_manifest(&manifest).await;
    }
    let process = bench
        .start("consumer", &["--memory-limit", "256MiB", "--max-age", "1s"])
        .await;
    bench.landed(rows.unsigned_abs()).await;
    let peak = peak(process);
    println!("12 batches with {rows} KB of rows: {peak} MiB at most");
    assert!(peak < 256, "{peak} MiB");
    bench.stop(process, "consumer").await;
    let report = bench.expect_whole().await;
    let batches = report["partitions"]
        .as_array()
        .expect("partitions")
        .iter()
        .filter_map(|partition| partition["objects"].as_u64());
    assert_eq!(batches.sum::<u64>(), 60, "{report:#}");
    bench.end().await;
}

/// At 512 MiB the shares of a thousand partitions had a sum of 634 MiB, and the records
/// in their queues while S3 is away took 781 MiB.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_partitions_want_a_limit_that_they_stay_within() {
    let bench = Bench::with_partitions(KafkaKind::Mock, 1_000).await;
    for command in ["check", "run"] {
        let said = bench.refused(&[command]).await;
        assert!(
            said.contains("memory.limit: 512 MiB is too little for the topic's 1000 partitions")
                && said.contains("set 1048MiB or more"),
            "{said}"
        );
    }
    let note = "x".repeat(80);
    for partition in 0..1_000 {
        produce(&bench, partition, 1_200, |number| {
            format!(r#"{{"symbol":"A","event_time":{number},"price":1,"note":"{note}{number}"}}"#)
        })
        .await;
    }
    let address = format!("127.0.0.1:{}", free_port().expect("a port"));
    let process = bench
        .start(
            "consumer",
            &[
                "--memory-limit",
                "1048MiB",
                "--max-age",
                "3s",
                "--listen",
                &address,
            ],
        )
        .await;
    bench.wait_for_event("consumer", "serving", json!({})).await;
    bench
        .get_until(&address, "/ready", |ready| {
            ready.starts_with("HTTP/1.1 200")
        })
        .await;
    bench.s3.switch(false);
    // Until everything is full.
    let (mut full, mut steady) = (0, 0);
    while steady < 5 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = peak(process);
        steady = if now == full { steady + 1 } else { 0 };
        full = now;
    }
    bench.s3.switch(true);
    bench
        .get_until(&address, "/metrics", |metrics| {
            metrics.contains("ticklake_landed_records_total 1200000\n")
        })
        .await;
    let peak = peak(process);
    println!("1,000 partitions within 1,048 MiB: {peak} MiB at most");
    assert!(peak < 1_048, "{peak} MiB");
    bench.stop(process, "consumer").await;
    bench.end().await;
}

/// S3 is away for longer than the group waits for a member that does not poll, in the
/// middle of a backlog. The consumer keeps its partitions and its memory. 15 s, or
/// `OUTAGE_SECONDS` of them.
#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_s3_moves_no_partition() {
    let bench = Bench::with_partitions(KafkaKind::Apache, 2).await;
    let config = bench.log("impatient.yaml");
    let options = "kafka:\n  options:\n    session.timeout.ms: \"6000\"\n    \
                   max.poll.interval.ms: \"8000\"\n";
    std::fs::write(&config, options).expect("a file");
    let process = bench
        .start(
            "consumer",
            &[
                "--max-age",
                "500ms",
                "--memory-limit",
                "128MiB",
                "--config",
                &config.display().to_string(),
            ],
        )
        .await;
    bench.produce_ticks(0, 5).await;
    bench.landed(5).await;
    bench.s3.switch(false);
    // 160 MB of values: more than fits.
    let note = "x".repeat(900);
    for partition in 0..2 {
        produce(&bench, partition, 80_000, |number| {
            format!(r#"{{"symbol":"A","event_time":{number},"price":1,"note":"{note}{number}"}}"#)
        })
        .await;
    }
    let seconds =
        std::env::var("OUTAGE_SECONDS").map_or(15, |seconds| seconds.parse().expect("seconds"));
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let away = peak(process);
    bench.s3.switch(true);
    bench.landed(160_005).await;
    let peak = peak(process);
    println!("S3 was away for {seconds} s: {away} MiB at most, {peak} MiB after it");
    assert!(away < 128 && peak < 128, "{away} MiB, {peak} MiB");
    bench.stop(process, "consumer").await;
    let said = bench.said("consumer");
    let assigned = bench.events("consumer", "partition_assigned", &json!({}));
    assert_eq!(assigned.len(), 2, "{said}");
    assert!(
        !bench.has_logged("consumer", "partitions_revoked"),
        "{said}"
    );
    bench.expect_whole().await;
    bench.end().await;
}

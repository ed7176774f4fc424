//! An operator's commands, verify, skip, dead-letters; and a monitor's questions.

#![allow(clippy::expect_used, reason = "a test says what it expected")]

use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::Duration;

use bench::{BUCKET, Bench};
use local::{KafkaKind, Repository, free_port};
use serde_json::json;

mod bench;

#[tokio::test(flavor = "multi_thread")]
async fn verify_finds_what_is_missing_foreign_or_changed() {
    let bench = Bench::new().await;
    let (is_whole, said) = bench.command(&["verify"]).await;
    assert!(
        is_whole && said.contains("nothing has landed in this lake yet"),
        "{said}"
    );
    bench.produce_ticks(0, 5).await;
    bench.produce(0, b"poison").await;
    let process = bench.start("consumer", &["--max-age", "300ms"]).await;
    let lake = bench.landed(6).await;
    bench.stop(process, "consumer").await;
    let (is_whole, said) = bench.command(&["verify"]).await;
    assert!(is_whole, "{said}");
    insta::assert_snapshot!("verify_of_a_whole_lake", said);
    let s3 = aws_sdk_s3::Client::new(bench.ministack.aws.config());
    let foreign =
        "ticks/dt=2026-11-21/hr=05/ticks-0-00000000000000000500-00000000000000000501.json.gz";
    for key in [foreign, "ticks/readme.txt"] {
        bench.put(key, Vec::new()).await;
    }
    let (is_whole, said) = bench.command(&["verify"]).await;
    assert!(!is_whole, "{said}");
    insta::assert_snapshot!("verify_of_a_lake_with_foreign_objects", said);
    let (key, _) = lake.below("ticks/").next().expect("an object");
    let object = s3
        .get_object()
        .bucket(BUCKET)
        .key(key)
        .send()
        .await
        .expect("an object");
    let metadata = object.metadata().cloned();
    // As many rows by its metadata, and a letter's line by its contents.
    let (letter, _) = lake.below("dead-letter/").next().expect("a dead letter");
    let other = s3
        .get_object()
        .bucket(BUCKET)
        .key(letter)
        .send()
        .await
        .expect("an object")
        .body
        .collect()
        .await
        .expect("a body");
    s3.put_object()
        .bucket(BUCKET)
        .key(key)
        .set_metadata(metadata)
        .body(other.into_bytes().into())
        .send()
        .await
        .expect("an object");
    let (is_whole, said) = bench.command(&["verify", "--deep"]).await;
    assert!(
        !is_whole && said.contains("holds 1 rows, 5 are its own; 1 are not in its manifest"),
        "{said}"
    );
    s3.delete_object()
        .bucket(BUCKET)
        .key(key)
        .send()
        .await
        .expect("deleted");
    let (is_whole, said) = bench.command(&["verify", "--json"]).await;
    let report: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert!(
        !is_whole
            && report["partitions"][0]["fault_messages"][0]
                .as_str()
                .is_some_and(|message| message.contains("is missing: 5 offsets")),
        "{said}"
    );
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_lifecycle_took_has_landed_and_is_not_made_again() {
    let bench = Bench::new().await;
    let s3 = aws_sdk_s3::Client::new(bench.ministack.aws.config());
    bench.produce_ticks(0, 5).await;
    let process = bench
        .start(
            "consumer",
            &["--max-age", "300ms", "--retention-days", "30"],
        )
        .await;
    let lake = bench.landed(5).await;
    bench.stop(process, "consumer").await;
    let (key, _) = lake.below("ticks/").next().expect("an object");
    s3.delete_object()
        .bucket(BUCKET)
        .key(key)
        .send()
        .await
        .expect("deleted");
    let (is_whole, said) = bench.command(&["verify"]).await;
    assert!(
        !is_whole && said.contains("is missing: 5 offsets"),
        "nothing expires before its time: {said}"
    );
    // A lifecycle that takes everything, for a while.
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("a clock")
        .as_secs();
    let (term, body) = lake::Term {
        since: now as i64,
        days: Some(0),
    }
    .to_object();
    bench.put(&term, body).await;
    let (is_whole, said) = bench.command(&["verify"]).await;
    assert!(is_whole && said.contains("expired"), "{said}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    bench.produce_ticks(0, 2).await;
    let process = bench
        .start("after", &["--max-age", "300ms", "--retention-days", "30"])
        .await;
    let lake = bench.landed(2).await;
    bench.stop(process, "after").await;
    assert_eq!(
        lake.rows("ticks/"),
        2,
        "what expired was made again: {:?}",
        lake.objects.keys()
    );
    let report = bench.expect_whole().await;
    assert_eq!(
        (
            report["partitions"][0]["landed"].as_u64(),
            report["partitions"][0]["expired"].as_u64()
        ),
        (Some(7), Some(1)),
        "{report}"
    );
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn skip_gives_up_what_has_not_landed_and_no_more() {
    let bench = Bench::new().await;
    bench.produce_ticks(1, 10).await;
    let (_, said) = bench
        .command(&["skip", "--partition", "1", "--to", "11"])
        .await;
    assert!(
        said.contains("offset 11 is behind the end of partition 1; skip at most to 10"),
        "{said}"
    );
    let (is_done, said) = bench
        .command(&["skip", "--partition", "1", "--to", "4"])
        .await;
    assert!(
        is_done
            && said
                .contains("partition 1: skipped offsets 0 to 3, 4 of them; landing goes on at 4"),
        "{said}"
    );
    let (is_done, said) = bench
        .command(&["skip", "--partition", "1", "--to", "4"])
        .await;
    assert!(!is_done && said.contains("nothing to skip"), "{said}");
    // A running consumer obeys it, even if it holds some of the records.
    let process = bench.start("consumer", &["--max-age", "3s"]).await;
    bench
        .wait_for_event(
            "consumer",
            "partition_reading",
            json!({"partition": 1, "next": 4}),
        )
        .await;
    let (is_done, said) = bench
        .command(&["skip", "--partition", "1", "--to", "7"])
        .await;
    assert!(is_done, "{said}");
    bench.landed(3).await;
    bench.stop(process, "consumer").await;
    let report = bench.expect_whole().await;
    assert_eq!(
        report["partitions"][0]["gaps"],
        json!({"skipped by an operator": 7}),
        "{report:#}"
    );
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_listed_and_produced_again_once() {
    let bench = Bench::with_partitions(KafkaKind::Apache, 2).await;
    let config = bench.log("small.yaml");
    std::fs::write(&config, "records:\n  max_bytes: 60B\n").expect("a file");
    let process = bench
        .start(
            "small",
            &[
                "--max-age",
                "300ms",
                "--config",
                &config.display().to_string(),
            ],
        )
        .await;
    let large = format!(
        r#"{{"symbol":"A","event_time":0,"price":1,"note":"{}"}}"#,
        "x".repeat(60)
    );
    bench.produce(1, b"poison").await;
    bench.produce(1, large.as_bytes()).await;
    bench.produce(1, b"").await;
    bench.landed(3).await;
    bench.stop(process, "small").await;
    let (_, said) = bench.command(&["dead-letters", "list"]).await;
    assert!(
        said.contains("1:0 ")
            && said.contains("wanted at most 60 (setting records.max_bytes)")
            && said.contains("3 dead letters of topic ticks"),
        "{said}"
    );
    let (_, said) = bench
        .command(&["dead-letters", "list", "--reason", "at most 60"])
        .await;
    assert!(
        said.contains("1 dead letter of topic ticks") && said.contains("1:1 "),
        "{said}"
    );
    let (is_done, said) = bench.command(&["dead-letters", "replay", "1:7"]).await;
    assert!(
        !is_done && said.contains("has no dead letter \"1:7\""),
        "{said}"
    );
    // Under rules that would take it for too large again.
    let (is_done, said) = bench
        .command(&[
            "dead-letters",
            "replay",
            "--all",
            "--config",
            &config.display().to_string(),
        ])
        .await;
    assert!(
        is_done
            && said.contains(
                "it would be a dead letter again: 109 bytes, wanted at most 60 \
                 (setting records.max_bytes)"
            ),
        "{said}"
    );
    assert!(said.contains("0 produced again, 3 left alone"), "{said}");
    let (is_done, said) = bench.command(&["dead-letters", "replay", "--all"]).await;
    assert!(
        is_done
            && said.contains("1:1              produced again, now 1:3")
            && said.contains("1 produced again, 2 left alone"),
        "{said}"
    );
    assert!(
        said.contains("it would be a dead letter again: not a JSON object"),
        "{said}"
    );
    let (_, said) = bench.command(&["dead-letters", "replay", "1:1"]).await;
    assert!(
        said.contains("it was produced again before, as 1:3"),
        "{said}"
    );
    // Cut off between the record and its note.
    let s3 = aws_sdk_s3::Client::new(bench.ministack.aws.config());
    s3.delete_object()
        .bucket(BUCKET)
        .key("_replays/ticks/1/1/done.json")
        .send()
        .await
        .expect("deleted");
    let (_, said) = bench.command(&["dead-letters", "replay", "1:1"]).await;
    assert!(said.contains("an earlier replay was cut off"), "{said}");
    let (_, said) = bench
        .command(&["dead-letters", "replay", "1:1", "--scan"])
        .await;
    assert!(
        said.contains("it was produced again before, as 1:3"),
        "{said}"
    );
    let process = bench.start("large", &["--max-age", "300ms"]).await;
    let lake = bench.landed(4).await;
    bench.stop(process, "large").await;
    assert_eq!((lake.rows("ticks/"), lake.rows("dead-letter/")), (1, 3));
    bench.expect_whole().await;
    bench.end().await;
}

/// `--all` held every letter of the lake at once.
#[tokio::test(flavor = "multi_thread")]
async fn all_dead_letters_are_replayed_within_the_memory_of_a_few() {
    let bench = Bench::new().await;
    let value = "x".repeat(1 << 20);
    for object in 0..40 {
        let mut letters = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        for offset in object * 8..object * 8 + 8 {
            let letter = json!({ "topic": "ticks", "kafka_partition": 0, "kafka_offset": offset, "kafka_timestamp_ms": 0,
                "reason": "not a JSON object", "key": null, "value": value, "headers": [] });
            writeln!(letters, "{letter}").expect("written");
        }
        let key = format!(
            "dead-letter/dt=1970-01-01/hr=00/ticks-0-{:020}-{:020}.json.gz",
            object * 8,
            object * 8 + 7
        );
        bench.put(&key, letters.finish().expect("gzip")).await;
    }
    let process = bench
        .start("replay", &["dead-letters", "replay", "--all"])
        .await;
    let mut peak = 0;
    while let Err(_running) =
        tokio::time::timeout(Duration::from_millis(10), bench.processes.wait(process)).await
    {
        peak = bench::peak_mebibytes(process).unwrap_or(peak);
    }
    let said = bench.said("replay");
    assert!(said.contains("0 produced again, 320 left alone"), "{said}");
    println!("320 MiB of dead letters: {peak} MiB at most");
    assert!(0 < peak && peak < 128, "{peak} MiB");
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_monitor_sees_metrics_health_and_readiness() {
    let bench = Bench::new().await;
    let address = format!("127.0.0.1:{}", free_port().expect("a port"));
    bench.s3.switch(false);
    let process = bench
        .start("consumer", &["--max-age", "300ms", "--listen", &address])
        .await;
    bench.wait_for_event("consumer", "serving", json!({})).await;
    assert!(
        bench
            .get(&address, "/ready")
            .await
            .starts_with("HTTP/1.1 503")
    );
    assert!(
        bench
            .get(&address, "/health")
            .await
            .starts_with("HTTP/1.1 200")
    );
    bench.s3.switch(true);
    bench
        .get_until(&address, "/ready", |answer| {
            answer.starts_with("HTTP/1.1 200")
        })
        .await;
    bench.produce_ticks(0, 5).await;
    bench.produce(0, b"poison").await;
    bench.landed(6).await;
    let last = json!({"partition": 0, "last": 5});
    bench.wait_for_event("consumer", "batch_sealed", last).await;
    // The CloudWatch agent drops a counter's first value.
    let first = bench.get(&address, "/metrics").await;
    assert!(first.contains("ticklake_dead_letters_total 0\n"), "{first}");
    let metrics = bench
        .get_until(&address, "/metrics", |metrics| {
            metrics.contains("ticklake_next_offset{partition=\"0\"} 6")
                && metrics.contains("ticklake_dead_letters_total 1\n")
        })
        .await;
    for wanted in [
        "ticklake_landed_records_total 5",
        "ticklake_sealed_batches_total{cause=\"age\"}",
        "ticklake_freshness_seconds_bucket",
        "# HELP ticklake_buffered_bytes",
        "ticklake_rebalances_total 1",
    ] {
        assert!(metrics.contains(wanted), "no {wanted} in {metrics}");
    }
    bench.stop(process, "consumer").await;
    let said = bench.refused(&["--listen", "127.0.0.1:99999"]).await;
    assert!(
        said.contains("http.listen: cannot serve at \"127.0.0.1:99999\""),
        "{said}"
    );
    bench.end().await;
}

/// The CloudWatch agent drops the first value of a series: of a counter that came with
/// its first event nobody heard.
#[tokio::test(flavor = "multi_thread")]
async fn what_cloudwatch_watches_is_there_before_anything_has_happened() {
    let bench = Bench::new().await;
    let address = format!("127.0.0.1:{}", free_port().expect("a port"));
    let process = bench
        .start("consumer", &["--max-age", "300ms", "--listen", &address])
        .await;
    bench.wait_for_event("consumer", "serving", json!({})).await;
    let metrics = bench.get(&address, "/metrics").await;
    let repository = Repository::here();
    let read = |path: &str| std::fs::read_to_string(repository.path(path)).expect(path);
    let carried = read("ec2-agents/boot/tick-consumer.cloudwatch.json");
    let carried: BTreeSet<&str> = carried
        .split('"')
        .filter_map(|word| word.strip_prefix('^')?.strip_suffix('$'))
        .filter(|name| name.starts_with("ticklake_"))
        .collect();
    let template = read("template.yaml");
    let watched: BTreeSet<&str> = template
        .lines()
        .filter_map(|line| line.trim().strip_prefix("MetricName: "))
        .filter(|name| name.starts_with("ticklake_"))
        .collect();
    assert!(
        watched.len() > 5 && carried.len() > 9 && watched.is_subset(&carried),
        "{watched:?} of {carried:?}"
    );
    // Of the labels that the agent leaves out.
    let has = |metrics: &str, name: &str, value: &str| {
        let is_of = |line: &str| {
            line.starts_with(&format!("{name} "))
                || line.starts_with(&format!("{name}{{partition="))
        };
        metrics
            .lines()
            .any(|line| is_of(line) && line.ends_with(value))
    };
    for counter in carried.iter().filter(|name| name.ends_with("_total")) {
        assert!(
            has(&metrics, counter, " 0"),
            "no {counter} at the start: {metrics}"
        );
    }
    let gauges: Vec<_> = carried
        .iter()
        .filter(|name| !name.ends_with("_total") && **name != "ticklake_landing_delay_seconds")
        .collect();
    bench
        .get_until(&address, "/metrics", |metrics| {
            gauges.iter().all(|gauge| has(metrics, gauge, ""))
        })
        .await;
    // How late the newest batch was is known once there is one.
    bench.produce_ticks(0, 1).await;
    bench
        .get_until(&address, "/metrics", |metrics| {
            carried.iter().all(|name| has(metrics, name, ""))
        })
        .await;
    bench.stop(process, "consumer").await;
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_that_a_double_does_not_hold_land_with_their_digits_and_are_counted() {
    let bench = Bench::new().await;
    let address = format!("127.0.0.1:{}", free_port().expect("a port"));
    let process = bench
        .start("consumer", &["--max-age", "300ms", "--listen", &address])
        .await;
    bench
        .produce(
            0,
            br#"{"symbol":"A","event_time":0,"price":0.1,"volume":9007199254740992}"#,
        )
        .await;
    bench.produce(0, br#"{"symbol":"A","event_time":0,"price":0.1000000000000000055,"volume":9007199254740993,"note":1}"#).await;
    let lake = bench.landed(2).await;
    bench
        .get_until(&address, "/metrics", |metrics| {
            metrics.contains("ticklake_inexact_numbers_total 2")
        })
        .await;
    bench.stop(process, "consumer").await;
    let extras: Vec<_> = bench
        .lines(&lake, "ticks/")
        .await
        .into_iter()
        .map(|line| line["extra"].clone())
        .collect();
    assert_eq!(
        extras,
        [
            serde_json::Value::Null,
            r#"{"price":0.1000000000000000055,"volume":9007199254740993,"note":1}"#.into()
        ]
    );
    let report = bench.expect_whole().await;
    assert_eq!(
        report["partitions"][0]["inexact_numbers"].as_u64(),
        Some(2),
        "{report:#}"
    );
    bench.end().await;
}

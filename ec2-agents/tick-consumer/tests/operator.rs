//! What an operator types: verify, skip, dead-letters; and what a monitor asks.

#![allow(clippy::expect_used, reason = "a test says what it expected")]

use std::time::{Duration, Instant};

use bench::{BUCKET, Bench};
use local::{KafkaKind, free_port};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

mod bench;

#[tokio::test(flavor = "multi_thread")]
async fn verify_finds_what_is_missing_foreign_or_changed() {
    let bench = Bench::new().await;
    let (is_whole, said) = bench.command(&["verify"]).await;
    assert!(is_whole && said.contains("nothing has landed in this lake yet"), "{said}");
    bench.produce_ticks(0, 5).await;
    bench.produce(0, b"poison").await;
    let process = bench.start("consumer", &["--max-age", "300ms"]).await;
    let lake = bench.landed(6).await;
    bench.stop(process, "consumer").await;
    let (is_whole, said) = bench.command(&["verify"]).await;
    assert!(is_whole && said.contains("topic ticks") && said.contains("whole: every offset is accounted for exactly once"), "{said}");
    let s3 = aws_sdk_s3::Client::new(bench.ministack.aws.config());
    let foreign = "ticks/dt=2026-11-21/hr=05/ticks-0-00000000000000000500-00000000000000000501.json.gz";
    for key in [foreign, "ticks/readme.txt"] {
        s3.put_object().bucket(BUCKET).key(key).send().await.expect("an object");
    }
    let (is_whole, said) = bench.command(&["verify"]).await;
    assert!(
        !is_whole && said.contains(&format!("{foreign} is in no manifest")) && said.contains("ticks/readme.txt was written by another"),
        "{said}"
    );
    let (key, _) = lake.below("ticks/").next().expect("an object");
    let object = s3.get_object().bucket(BUCKET).key(key).send().await.expect("an object");
    let metadata = object.metadata().cloned();
    // As many rows by its metadata, and a letter's line by what is in it.
    let (letter, _) = lake.below("dead-letter/").next().expect("a dead letter");
    let other = s3.get_object().bucket(BUCKET).key(letter).send().await.expect("an object").body.collect().await.expect("a body");
    s3.put_object().bucket(BUCKET).key(key).set_metadata(metadata).body(other.into_bytes().into()).send().await.expect("an object");
    let (is_whole, said) = bench.command(&["verify", "--deep"]).await;
    assert!(!is_whole && said.contains("holds 1 rows, 5 are its own; 1 are not in its manifest"), "{said}");
    s3.delete_object().bucket(BUCKET).key(key).send().await.expect("deleted");
    let (is_whole, said) = bench.command(&["verify", "--json"]).await;
    let report: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert!(!is_whole && report["partitions"][0]["told"][0].as_str().is_some_and(|told| told.contains("is missing: 5 offsets")), "{said}");
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_lifecycle_took_has_landed_and_is_not_made_again() {
    let bench = Bench::new().await;
    let s3 = aws_sdk_s3::Client::new(bench.ministack.aws.config());
    bench.produce_ticks(0, 5).await;
    let process = bench.start("consumer", &["--max-age", "300ms", "--retention-days", "30"]).await;
    let lake = bench.landed(5).await;
    bench.stop(process, "consumer").await;
    let (key, _) = lake.below("ticks/").next().expect("an object");
    s3.delete_object().bucket(BUCKET).key(key).send().await.expect("deleted");
    let (is_whole, said) = bench.command(&["verify"]).await;
    assert!(!is_whole && said.contains("is missing: 5 offsets"), "nothing expires before its time: {said}");
    // A lifecycle that takes everything, for a while.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_secs();
    let (term, body) = lake::Term { since: now as i64, days: Some(0) }.to_object();
    s3.put_object().bucket(BUCKET).key(term).body(body.into()).send().await.expect("a term");
    let (is_whole, said) = bench.command(&["verify"]).await;
    assert!(is_whole && said.contains("expired"), "{said}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    bench.produce_ticks(0, 2).await;
    let process = bench.start("after", &["--max-age", "300ms", "--retention-days", "30"]).await;
    let lake = bench.landed(2).await;
    bench.stop(process, "after").await;
    assert_eq!(lake.rows("ticks/"), 2, "what expired was made again: {:?}", lake.objects.keys());
    let report = bench.expect_whole().await;
    assert_eq!((report["partitions"][0]["landed"].as_u64(), report["partitions"][0]["expired"].as_u64()), (Some(7), Some(1)), "{report}");
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn skip_gives_up_what_has_not_landed_and_no_more() {
    let bench = Bench::new().await;
    bench.produce_ticks(1, 10).await;
    let (_, said) = bench.command(&["skip", "--partition", "1", "--to", "11"]).await;
    assert!(said.contains("offset 11 is behind the end of partition 1; skip at most to 10"), "{said}");
    let (is_done, said) = bench.command(&["skip", "--partition", "1", "--to", "4"]).await;
    assert!(is_done && said.contains("partition 1: skipped offsets 0 to 3, 4 of them; landing goes on at 4"), "{said}");
    let (is_done, said) = bench.command(&["skip", "--partition", "1", "--to", "4"]).await;
    assert!(!is_done && said.contains("nothing to skip"), "{said}");
    // A consumer that runs obeys it, also where it holds some of the records.
    let process = bench.start("consumer", &["--max-age", "3s"]).await;
    bench.wait_for("consumer", "\"partition\":1,\"next\":4").await;
    let (is_done, said) = bench.command(&["skip", "--partition", "1", "--to", "7"]).await;
    assert!(is_done, "{said}");
    bench.landed(3).await;
    bench.stop(process, "consumer").await;
    let report = bench.expect_whole().await;
    assert_eq!(report["partitions"][0]["gaps"], serde_json::json!({"skipped by an operator": 7}), "{report:#}");
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_listed_and_produced_again_once() {
    let bench = Bench::with_partitions(KafkaKind::Apache, 2).await;
    let config = bench.log("small.yaml");
    std::fs::write(&config, "records:\n  max_bytes: 60B\n").expect("a file");
    let process = bench.start("small", &["--max-age", "300ms", "--config", &config.display().to_string()]).await;
    let large = format!(r#"{{"symbol":"A","event_time":0,"price":1,"note":"{}"}}"#, "x".repeat(60));
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
    let (_, said) = bench.command(&["dead-letters", "list", "--reason", "at most 60"]).await;
    assert!(said.contains("1 dead letter of topic ticks") && said.contains("1:1 "), "{said}");
    let (is_done, said) = bench.command(&["dead-letters", "replay", "1:7"]).await;
    assert!(!is_done && said.contains("has no dead letter \"1:7\""), "{said}");
    let (is_done, said) = bench.command(&["dead-letters", "replay", "--all"]).await;
    assert!(
        is_done && said.contains("1:1              produced again, now 1:3") && said.contains("1 produced again, 2 left alone"),
        "{said}"
    );
    assert!(said.contains("it would be a dead letter again: not a JSON object"), "{said}");
    let (_, said) = bench.command(&["dead-letters", "replay", "1:1"]).await;
    assert!(said.contains("it was produced again before, as 1:3"), "{said}");
    // Cut off between the record and its note.
    let s3 = aws_sdk_s3::Client::new(bench.ministack.aws.config());
    s3.delete_object().bucket(BUCKET).key("_replays/ticks/1/1/done.json").send().await.expect("deleted");
    let (_, said) = bench.command(&["dead-letters", "replay", "1:1"]).await;
    assert!(said.contains("an earlier replay was cut off"), "{said}");
    let (_, said) = bench.command(&["dead-letters", "replay", "1:1", "--scan"]).await;
    assert!(said.contains("it was produced again before, as 1:3"), "{said}");
    let process = bench.start("large", &["--max-age", "300ms"]).await;
    let lake = bench.landed(4).await;
    bench.stop(process, "large").await;
    assert_eq!((lake.rows("ticks/"), lake.rows("dead-letter/")), (1, 3));
    bench.expect_whole().await;
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_monitor_sees_metrics_health_and_readiness() {
    let bench = Bench::new().await;
    let address = format!("127.0.0.1:{}", free_port().expect("a port"));
    bench.s3.switch(false);
    let process = bench.start("consumer", &["--max-age", "300ms", "--listen", &address]).await;
    bench.wait_for("consumer", "serving").await;
    assert!(get(&address, "/ready").await.starts_with("HTTP/1.1 503"));
    assert!(get(&address, "/health").await.starts_with("HTTP/1.1 200"));
    bench.s3.switch(true);
    let deadline = Instant::now() + bench::PATIENCE;
    while !get(&address, "/ready").await.starts_with("HTTP/1.1 200") {
        assert!(Instant::now() < deadline, "never ready");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bench.produce_ticks(0, 5).await;
    bench.produce(0, b"poison").await;
    bench.landed(6).await;
    let metrics = get(&address, "/metrics").await;
    for wanted in [
        "ticklake_landed_records_total 5",
        "ticklake_dead_letters_total 1",
        "ticklake_next_offset{partition=\"0\"} 6",
        "ticklake_sealed_batches_total{cause=\"age\"}",
        "ticklake_freshness_seconds_bucket",
        "# HELP ticklake_buffered_bytes",
        "ticklake_rebalances_total 1",
    ] {
        assert!(metrics.contains(wanted), "no {wanted} in {metrics}");
    }
    bench.stop(process, "consumer").await;
    let said = bench.refused(&["--listen", "127.0.0.1:99999"]).await;
    assert!(said.contains("http.listen: cannot serve at \"127.0.0.1:99999\""), "{said}");
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_that_a_double_does_not_hold_land_with_their_digits_and_are_counted() {
    let bench = Bench::new().await;
    let address = format!("127.0.0.1:{}", free_port().expect("a port"));
    let process = bench.start("consumer", &["--max-age", "300ms", "--listen", &address]).await;
    bench.produce(0, br#"{"symbol":"A","event_time":0,"price":0.1,"volume":9007199254740992}"#).await;
    bench.produce(0, br#"{"symbol":"A","event_time":0,"price":0.1000000000000000055,"volume":9007199254740993,"note":1}"#).await;
    let lake = bench.landed(2).await;
    let deadline = Instant::now() + bench::PATIENCE;
    while !get(&address, "/metrics").await.contains("ticklake_inexact_numbers_total 2") {
        assert!(Instant::now() < deadline, "never counted: {}", get(&address, "/metrics").await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bench.stop(process, "consumer").await;
    let extras: Vec<_> = bench.lines(&lake, "ticks/").await.into_iter().map(|line| line["extra"].clone()).collect();
    assert_eq!(extras, [serde_json::Value::Null, r#"{"price":0.1000000000000000055,"volume":9007199254740993,"note":1}"#.into()]);
    let report = bench.expect_whole().await;
    assert_eq!(report["partitions"][0]["inexact_numbers"].as_u64(), Some(2), "{report:#}");
    bench.end().await;
}

async fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    answer
}

//! The consumer as a process, against the mock cluster and ministack: bad settings,
//! poison, outages, signals, rebalances.

#![allow(clippy::expect_used, reason = "a test says what it expected")]

use std::time::Duration;

use bench::{BUCKET, Bench, WAIT_TIMEOUT};
use local::{Conditions, Fault, FaultProxy, KafkaKind, free_port};
use rdkafka::ClientConfig;
use rdkafka::types::RDKafkaApiKey;
use serde_json::json;

mod bench;

/// The versions that MSK Serverless answers, as far as the mock cluster has them:
/// docs/msk-serverless.md names the source.
#[tokio::test(flavor = "multi_thread")]
async fn the_calls_of_msk_serverless_are_enough() {
    let mut bench = Bench::new().await;
    for (call, versions) in [
        (RDKafkaApiKey::Produce, 7..=9),
        (RDKafkaApiKey::Fetch, 10..=12),
        (RDKafkaApiKey::ListOffsets, 5..=6),
        (RDKafkaApiKey::Metadata, 7..=11),
        (RDKafkaApiKey::OffsetCommit, 6..=8),
        (RDKafkaApiKey::OffsetFetch, 5..=6),
        (RDKafkaApiKey::FindCoordinator, 2..=3),
        (RDKafkaApiKey::JoinGroup, 4..=6),
        (RDKafkaApiKey::Heartbeat, 2..=4),
        (RDKafkaApiKey::LeaveGroup, 2..=4),
        (RDKafkaApiKey::SyncGroup, 2..=4),
        (RDKafkaApiKey::InitProducerId, 1..=4),
    ] {
        bench
            .kafka
            .answer_versions(call, versions)
            .expect("a mock cluster");
    }
    // The bench's own has asked for the versions before.
    bench.producer = ClientConfig::new()
        .set("bootstrap.servers", bench.kafka.brokers())
        .set("enable.idempotence", "true")
        .create()
        .expect("a producer");
    let (is_ok, said) = bench.command(&["check"]).await;
    assert!(is_ok, "{said}");
    let consumer = bench.start("consumer", &["--max-age", "1s"]).await;
    bench.produce_ticks(0, 20).await;
    bench.landed(20).await;
    bench.stop(consumer, "consumer").await;
    assert_eq!(bench.committed(0).await, Some(20));
    bench.expect_whole().await;
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_reached_or_does_not_exist_is_named_at_the_start() {
    let bench = Bench::new().await;
    let said = bench.refused(&["--topic", "tickz"]).await;
    assert!(
        said.contains("topic \"tickz\" does not exist")
            && said.contains("the brokers know: ticks")
            && said.contains("set kafka.topic"),
        "{said}"
    );
    let said = bench.refused(&["--bucket", "no-such-bucket"]).await;
    assert!(
        said.contains("bucket \"no-such-bucket\" does not exist")
            && said.contains("set lake.bucket"),
        "{said}"
    );
    let said = bench.refused(&["--brokers", "127.0.0.1:1"]).await;
    assert!(
        said.contains("cannot reach Kafka at 127.0.0.1:1") && said.contains("set kafka.brokers"),
        "{said}"
    );
    let said = bench.refused(&["--max-age", "ten"]).await;
    assert!(
        said.contains(
            "batch.max_age: \"ten\" is not a duration above zero; write 10s, 500ms or 2m"
        ),
        "{said}"
    );
    bench.s3.switch(false);
    let said = bench.refused(&[]).await;
    assert!(
        said.contains("cannot reach S3 for bucket \"lake\" at the endpoint in AWS_ENDPOINT_URL"),
        "{said}"
    );
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn check_tries_the_connections() {
    let bench = Bench::new().await;
    let process = bench.start("check", &["check"]).await;
    assert!(
        bench
            .processes
            .wait(process)
            .await
            .expect("a status")
            .success(),
        "{}",
        bench.said("check")
    );
    let said = bench.said("check");
    // Without the log.
    let report: String = said
        .split_inclusive('\n')
        .filter(|line| !line.starts_with('{'))
        .collect();
    insta::assert_snapshot!(report.replace(bench.kafka.brokers(), "[brokers]"));
    bench.s3.switch(false);
    let said = bench.refused(&["check"]).await;
    assert!(
        said.contains("cannot reach S3 for bucket \"lake\""),
        "{said}"
    );
    bench.end().await;
}

/// Six attempts of a minute each stood between such a store and the error.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_answers_no_put_is_named_as_soon_as_one_that_answers_nothing() {
    let bench = Bench::new().await;
    let proxy = FaultProxy::start(bench.ministack.aws.endpoint(), 1, Conditions::Kept)
        .await
        .expect("a proxy");
    proxy.set_certain(Some(("/_probe/", Fault::NoAnswer)));
    let said = bench.refused_at(&proxy.url(), &["check"]).await;
    assert!(
        said.contains(
            "no answer to a PUT below s3://lake/_probe/ from the endpoint in AWS_ENDPOINT_URL"
        ),
        "{said}"
    );
    bench.end().await;
}

/// Some stores take `If-None-Match` for a header that they do not know, and every
/// manifest would overwrite another.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_ignores_if_none_match_is_refused() {
    let bench = Bench::new().await;
    let proxy = FaultProxy::start(bench.ministack.aws.endpoint(), 1, Conditions::Dropped)
        .await
        .expect("a proxy");
    for command in ["check", "run"] {
        let process = bench.start_at(&proxy.url(), command, &[command]).await;
        let status = tokio::time::timeout(WAIT_TIMEOUT, bench.processes.wait(process))
            .await
            .expect("an end")
            .expect("a status");
        let said = bench.said(command);
        assert!(
            !status.success()
                && said.contains("has created s3://lake/_probe/")
                && said.contains("use a store with conditional"),
            "{said}"
        );
    }
    bench.end().await;
}

/// G2: no other record ever comes. confluentinc/kafka-connect-storage-cloud #144, #195:
/// idle data never lands.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_lands_also_when_the_stream_goes_idle() {
    let bench = Bench::new().await;
    let process = bench.start("consumer", &["--max-age", "1s"]).await;
    for records in 1..=3 {
        bench.produce_ticks(2, 1).await;
        let lake = bench.landed(records as u64).await;
        bench.expect_once(&lake, 2, records).await;
    }
    bench.stop(process, "consumer").await;
    let said = bench.said("consumer");
    let sealed = bench.events("consumer", "batch_sealed", &json!({}));
    let waits: Vec<f64> = sealed
        .iter()
        .filter_map(|batch| batch["open_seconds"].as_f64())
        .collect();
    // The deadline of its batch wakes the partition's task; a look at the lag does, too,
    // but only every 5 s.
    assert!(
        waits.len() == 3 && waits.iter().all(|wait| (1.0..3.0).contains(wait)),
        "{waits:?}: {said}"
    );
    bench.end().await;
}

/// G4: a record that is not a valid tick is kept with payload, headers, origin and
/// reason, and the partition goes on.
#[tokio::test(flavor = "multi_thread")]
async fn poison_is_kept_and_stalls_nothing() {
    let bench = Bench::new().await;
    let process = bench.start("consumer", &["--max-age", "1s"]).await;
    bench.produce_ticks(1, 2).await;
    bench.produce(1, b"\xff\xfe not UTF-8").await;
    bench
        .produce(1, br#"{"symbol":"A","event_time":0,"price":"12"}"#)
        .await;
    bench.produce(1, b"").await;
    bench.produce_ticks(1, 2).await;
    let lake = bench.landed(7).await;
    assert_eq!((lake.rows("ticks/"), lake.rows("dead-letter/")), (4, 3));
    bench.expect_once(&lake, 1, 7).await;
    let letters = bench.lines(&lake, "dead-letter/").await;
    assert_eq!(
        letters
            .iter()
            .map(|letter| letter["kafka_offset"].as_i64())
            .collect::<Vec<_>>(),
        [Some(2), Some(3), Some(4)]
    );
    assert!(
        letters
            .iter()
            .all(|letter| letter["topic"] == "ticks" && letter["kafka_partition"] == 1),
        "{letters:?}"
    );
    assert_eq!(letters[0]["value_base64"], "//4gbm90IFVURi04");
    assert_eq!(
        letters[0]["reason"],
        "invalid UTF-8 at byte 0, wanted a JSON object"
    );
    assert_eq!(letters[2]["value"], "");
    assert_eq!(
        letters[1]["value"],
        r#"{"symbol":"A","event_time":0,"price":"12"}"#
    );
    assert_eq!(
        letters[1]["reason"],
        r#"field price: got "12", wanted a finite number"#
    );
    assert_eq!(letters[1]["key"], "A");
    assert_eq!(letters[1]["headers"][0]["name"], "origin");
    assert_eq!(letters[1]["headers"][0]["value"], "test");
    bench.stop(process, "consumer").await;
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_seals_and_commits_and_the_next_one_goes_on_behind() {
    let bench = Bench::new().await;
    let process = bench.start("first", &["--max-age", "1h"]).await;
    bench.produce_ticks(0, 10).await;
    bench.produce_mark(0, "first").await;
    assert_eq!(bench.committed(0).await, None, "nothing is sealed");
    bench.stop(process, "first").await;
    let lake = bench.landed(11).await;
    bench.expect_once(&lake, 0, 11).await;
    assert_eq!(
        bench.committed(0).await,
        Some(11),
        "{}",
        bench.said("first")
    );
    bench.produce_ticks(0, 5).await;
    let process = bench.start("second", &["--max-age", "1s"]).await;
    bench
        .wait_for_event(
            "second",
            "partition_reading",
            json!({"partition": 0, "next": 11}),
        )
        .await;
    let lake = bench.landed(16).await;
    bench.expect_once(&lake, 0, 16).await;
    bench.stop(process, "second").await;
    assert_eq!(
        bench.committed(0).await,
        Some(16),
        "{}",
        bench.said("second")
    );
    bench.end().await;
}

/// An object in the way, here another program's, is not taken for the consumer's own. One
/// partition's fault ended the process, and with it the next consumer that got the
/// partition.
#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_partition_is_parked_and_the_others_land() {
    let bench = Bench::new().await;
    let in_the_way =
        "ticks/dt=1970-01-01/hr=all/ticks-2-00000000000000000000-00000000000000000001.json.gz";
    let s3 = aws_sdk_s3::Client::new(bench.ministack.aws.config());
    let nothing = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast())
        .finish()
        .expect("gzip");
    s3.put_object()
        .bucket(BUCKET)
        .key(in_the_way)
        .metadata("rows", "2")
        .body(nothing.into())
        .send()
        .await
        .expect("an object");
    let address = format!("127.0.0.1:{}", free_port().expect("a port"));
    let arguments = [
        "--max-rows",
        "2",
        "--partition-by",
        "event-time",
        "--granularity",
        "day",
        "--listen",
        &address,
    ];
    let process = bench.start("consumer", &arguments).await;
    for partition in 0..4 {
        bench.produce_ticks(partition, 2).await;
    }
    // The object says that it has two rows.
    let lake = bench.landed(8).await;
    for partition in [0, 1, 3] {
        bench.expect_once(&lake, partition, 2).await;
    }
    let ready = bench
        .get_until(&address, "/ready", |ready| ready.contains("parked"))
        .await;
    assert!(
        ready.starts_with("HTTP/1.1 503") && ready.contains("partition 2 is parked: s3://lake/"),
        "{ready}"
    );
    assert!(
        ready.contains(in_the_way) && ready.contains("is in the way: another program wrote it"),
        "{ready}"
    );
    assert!(
        ready.contains("move it away") && ready.matches("artition").count() == 1,
        "{ready}"
    );
    let metrics = bench.get(&address, "/metrics").await;
    for wanted in [
        "ticklake_parked{partition=\"2\"} 1\n",
        "ticklake_parked{partition=\"1\"} 0\n",
        "ticklake_ready 0\n",
    ] {
        assert!(metrics.contains(wanted), "no {wanted} in {metrics}");
    }
    assert!(
        !metrics.contains("ticklake_lag_records{partition=\"2\"}"),
        "{metrics}"
    );
    // It goes on by itself, and the attempts in between are not news.
    bench
        .wait_for_event(
            "consumer",
            "partition_still_parked",
            json!({"partition": 2}),
        )
        .await;
    s3.delete_object()
        .bucket(BUCKET)
        .key(in_the_way)
        .send()
        .await
        .expect("moved away");
    bench.produce_ticks(2, 2).await;
    bench
        .get_until(&address, "/ready", |ready| {
            ready.starts_with("HTTP/1.1 200")
        })
        .await;
    let lake = bench.landed(10).await;
    bench.expect_once(&lake, 2, 4).await;
    bench
        .get_until(&address, "/metrics", |metrics| {
            metrics.contains("ticklake_parked{partition=\"2\"} 0\n")
        })
        .await;
    bench.stop(process, "consumer").await;
    let said = bench.said("consumer");
    let logged = [
        "partition_parked",
        "partition_assigned",
        "partitions_revoked",
    ]
    .map(|event| bench.events("consumer", event, &json!({})).len());
    assert_eq!(logged, [1, 4, 0], "{said}");
    bench.expect_whole().await;
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_s3_delays_rows_and_loses_none() {
    let bench = Bench::new().await;
    let process = bench.start("consumer", &["--max-age", "1s"]).await;
    bench
        .wait_for_event("consumer", "partition_reading", json!({"partition": 3}))
        .await;
    bench.s3.switch(false);
    bench.produce_ticks(3, 20).await;
    bench
        .wait_for_event(
            "consumer",
            "retrying",
            json!({"operation": "put an object"}),
        )
        .await;
    bench.produce_ticks(3, 20).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    bench.s3.switch(true);
    let lake = bench.landed(40).await;
    bench.expect_once(&lake, 3, 40).await;
    bench.stop(process, "consumer").await;
    bench.end().await;
}

/// Each 409 was answered at once by the whole object, hundreds of times a second.
#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_of_s3_is_answered_by_the_object_again_only_after_a_wait() {
    let bench = Bench::new().await;
    let proxy = FaultProxy::start(bench.ministack.aws.endpoint(), 1, Conditions::Kept)
        .await
        .expect("a proxy");
    // The objects alone: manifests of this topic have "/ticks/" in their keys, too.
    proxy.set_certain(Some(("/lake/ticks/", Fault::Conflict)));
    let process = bench
        .start_at(&proxy.url(), "consumer", &["--max-age", "300ms"])
        .await;
    bench.produce_ticks(0, 5).await;
    // The waits that the log names tell more than a clock, which a busy machine slows
    // down.
    for wait in [0.1, 0.2, 0.4, 0.8] {
        let fields = json!({"operation": "put an object", "retry_in_seconds": wait});
        bench.wait_for_event("consumer", "retrying", fields).await;
    }
    let waits = json!({"operation": "put an object"});
    let waits = bench.events("consumer", "retrying", &waits).len() as u64;
    let puts = proxy.thrown()[&Fault::Conflict];
    assert!(
        puts <= waits + 1,
        "{puts} PUTs and {waits} waits: {}",
        bench.said("consumer")
    );
    proxy.set_certain(None);
    let lake = bench.landed(5).await;
    bench.expect_once(&lake, 0, 5).await;
    bench.stop(process, "consumer").await;
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_while_s3_is_away_ends_and_loses_nothing() {
    let bench = Bench::new().await;
    let process = bench.start("first", &["--max-age", "1s"]).await;
    bench
        .wait_for_event("first", "partition_reading", json!({"partition": 0}))
        .await;
    bench.s3.switch(false);
    bench.produce_ticks(0, 10).await;
    bench
        .wait_for_event("first", "retrying", json!({"operation": "put an object"}))
        .await;
    bench.stop(process, "first").await;
    assert!(
        bench.has_logged("first", "batch_given_up"),
        "{}",
        bench.said("first")
    );
    bench.s3.switch(true);
    let process = bench.start("second", &["--max-age", "1s"]).await;
    let lake = bench.landed(10).await;
    bench.expect_once(&lake, 0, 10).await;
    bench.stop(process, "second").await;
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_while_kafka_is_away_ends_and_loses_nothing() {
    let bench = Bench::new().await;
    let process = bench.start("first", &["--max-age", "1h"]).await;
    bench.produce_ticks(0, 10).await;
    bench.produce_mark(0, "first").await;
    bench.kafka.switch(false).expect("switched off");
    bench.stop(process, "first").await;
    // The topic's id cannot be looked at, so nothing may be sealed.
    assert!(
        bench.has_logged("first", "batch_given_up"),
        "{}",
        bench.said("first")
    );
    bench.kafka.switch(true).expect("switched on");
    let process = bench.start("second", &["--max-age", "1s"]).await;
    let lake = bench.landed(11).await;
    bench.expect_once(&lake, 0, 11).await;
    bench.stop(process, "second").await;
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_kafka_delays_rows_and_loses_none() {
    let bench = Bench::new().await;
    let process = bench.start("consumer", &["--max-age", "1s"]).await;
    bench.produce_ticks(0, 5).await;
    bench.landed(5).await;
    bench.kafka.switch(false).expect("switched off");
    bench
        .wait_for_event("consumer", "kafka_trouble", json!({}))
        .await;
    bench.kafka.switch(true).expect("switched on");
    bench.produce_ticks(0, 5).await;
    let lake = bench.landed(10).await;
    bench.expect_once(&lake, 0, 10).await;
    bench.stop(process, "consumer").await;
    bench.end().await;
}

/// A rotated password or a closed port looks the same: the assignment is lost, and
/// nothing is known of the log any more. `/ready` stayed green, and lag and stalled
/// seconds went to 0.
#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_is_cut_off_from_kafka_is_not_ready_and_its_lag_is_not_known() {
    let bench = Bench::new().await;
    let config = bench.log("sessions.yaml");
    std::fs::write(
        &config,
        "kafka:\n  options:\n    session.timeout.ms: \"6000\"\n",
    )
    .expect("a file");
    let address = format!("127.0.0.1:{}", free_port().expect("a port"));
    let process = bench
        .start(
            "consumer",
            &[
                "--max-age",
                "300ms",
                "--listen",
                &address,
                "--config",
                &config.display().to_string(),
            ],
        )
        .await;
    bench.produce_ticks(0, 5).await;
    bench.landed(5).await;
    let is_known = |metrics: &str| {
        metrics.contains("ticklake_lag_records{partition=\"0\"} 0\n")
            && metrics.contains("ticklake_stalled_seconds{partition=\"0\"} 0\n")
    };
    bench.wait_for_event("consumer", "serving", json!({})).await;
    assert!(
        bench
            .get_until(&address, "/metrics", is_known)
            .await
            .contains("ticklake_ready 1\n")
    );
    bench.kafka.switch(false).expect("switched off");
    let ready = bench
        .get_until(&address, "/ready", |ready| {
            ready.starts_with("HTTP/1.1 503")
        })
        .await;
    assert!(ready.contains("not in the group"), "{ready}");
    let is_unknown = |metrics: &str| {
        !metrics.contains("ticklake_lag_records{") && !metrics.contains("ticklake_stalled_seconds{")
    };
    assert!(
        bench
            .get_until(&address, "/metrics", is_unknown)
            .await
            .contains("ticklake_ready 0\n")
    );
    bench.kafka.switch(true).expect("switched on");
    bench
        .get_until(&address, "/ready", |ready| {
            ready.starts_with("HTTP/1.1 200")
        })
        .await;
    assert!(
        bench
            .get_until(&address, "/metrics", is_known)
            .await
            .contains("ticklake_ready 1\n")
    );
    bench.stop(process, "consumer").await;
    bench.end().await;
}

/// librdkafka pauses the partitions that stay during a rebalance. With
/// `enable.partition.eof` it went on one record too far, and that one was taken for
/// absent.
#[tokio::test(flavor = "multi_thread")]
async fn records_that_come_during_a_rebalance_land() {
    let bench = Bench::with(KafkaKind::Apache).await;
    let first = bench.start("first", &["--max-age", "300ms"]).await;
    for partition in 0..4 {
        let fields = json!({"partition": partition});
        bench
            .wait_for_event("first", "partition_reading", fields)
            .await;
    }
    let rebalances = async {
        for name in ["second", "third"] {
            let process = bench.start(name, &["--max-age", "300ms"]).await;
            bench
                .wait_for_event(name, "partition_reading", json!({}))
                .await;
            bench.stop(process, name).await;
        }
    };
    let mut sent = 0;
    let mut rebalances = Box::pin(rebalances);
    // One by one, so that the consumer mostly stands at the end of the log.
    while futures::poll!(rebalances.as_mut()).is_pending() {
        for partition in 0..4 {
            bench.produce_ticks(partition, 1).await;
        }
        sent += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(rebalances);
    let lake = bench.landed(4 * sent).await;
    for partition in 0..4 {
        bench.expect_once(&lake, partition, sent as i64).await;
    }
    bench.stop(first, "first").await;
    bench.expect_whole().await;
    bench.end().await;
}

/// confluentinc/kafka-connect-storage-cloud #333: an open batch is sealed when a
/// partition moves. On a real broker: the mock cluster's coordinator never completes a
/// cooperative rebalance with two members.
#[tokio::test(flavor = "multi_thread")]
async fn two_consumers_share_the_partitions_and_hand_them_over() {
    let bench = Bench::with(KafkaKind::Apache).await;
    let first = bench.start("first", &["--max-age", "1h"]).await;
    for partition in 0..4 {
        bench.produce_ticks(partition, 5).await;
        bench.produce_mark(partition, "first").await;
    }
    let second = bench.start("second", &["--max-age", "1h"]).await;
    // The open batch of a moving partition has landed before the other consumer reads it.
    bench
        .wait_for_event("first", "partitions_revoked", json!({}))
        .await;
    let moved: Vec<i32> = (0..4)
        .filter(|partition| sealed_on_leaving(&bench, "first", *partition, 0, 5))
        .collect();
    assert_eq!(moved.len(), 2, "{}", bench.said("first"));
    for partition in 0..4 {
        bench.produce_ticks(partition, 5).await;
        if moved.contains(&partition) {
            let fields = json!({"partition": partition, "next": 6});
            bench
                .wait_for_event("second", "partition_reading", fields)
                .await;
            bench.produce_mark(partition, "second").await;
        }
    }
    bench.stop(second, "second").await;
    for partition in &moved {
        assert!(
            sealed_on_leaving(&bench, "second", *partition, 6, 11),
            "{}",
            bench.said("second")
        );
    }
    bench.stop(first, "first").await;
    let process = bench.start("third", &["--max-age", "1s"]).await;
    let lake = bench.landed(40 + 4 + 2).await;
    for partition in 0..4 {
        bench
            .expect_once(
                &lake,
                i64::from(partition),
                11 + i64::from(moved.contains(&partition)),
            )
            .await;
    }
    bench.stop(process, "third").await;
    bench.expect_whole().await;
    bench.end().await;
}

/// Returns true if a consumer sealed a batch because it had to leave its partition.
fn sealed_on_leaving(bench: &Bench, name: &str, partition: i32, first: i64, last: i64) -> bool {
    let batch = json!({
        "partition": partition,
        "first": first,
        "last": last,
        "cause": "leaving",
    });
    !bench.events(name, "batch_sealed", &batch).is_empty()
}

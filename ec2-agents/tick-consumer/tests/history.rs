//! Kafka's history, on a real broker: retention, transactions, recreated topics, offsets
//! that somebody set, consumers that were taken for dead.

#![allow(clippy::expect_used, reason = "a test says what it expected")]

use std::time::Duration;

use bench::kafka_proxy::{KafkaProxy, replace};
use bench::{Bench, TICK, WAIT_TIMEOUT};
use local::{KafkaKind, free_port};
use rdkafka::admin::AdminOptions;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::producer::Producer as _;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use rustix::process::Signal;
use serde_json::json;

mod bench;

/// Lets retention take the records before an offset.
async fn delete_before(bench: &Bench, topic: &str, offset: i64) {
    let mut before = TopicPartitionList::new();
    before
        .add_partition_offset(topic, 0, Offset::Offset(offset))
        .expect("an offset");
    let deleted = bench
        .kafka
        .admin()
        .expect("an admin")
        .delete_records(&before, &AdminOptions::new())
        .await
        .expect("deleted");
    deleted
        .elements()
        .iter()
        .for_each(|element| element.error().expect("deleted"));
}

async fn land(bench: &Bench, name: &str, topic: &str, upto: i64) {
    let process = bench
        .start(name, &["--topic", topic, "--max-age", "200ms"])
        .await;
    bench
        .wait_for_event(name, "batch_sealed", json!({"last": upto - 1}))
        .await;
    bench.stop(process, name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_retention_took_is_a_gap_and_a_topic_recreated_or_cut_off_is_parked() {
    let bench = Bench::with_partitions(KafkaKind::Apache, 1).await;

    // Records were gone before the first start, then some between two.
    bench.kafka.create_topic("kept", 1).await.expect("a topic");
    for _ in 0..6 {
        bench.produce_to("kept", 0, TICK).await;
    }
    delete_before(&bench, "kept", 2).await;
    land(&bench, "kept-1", "kept", 6).await;
    for _ in 0..6 {
        bench.produce_to("kept", 0, TICK).await;
    }
    delete_before(&bench, "kept", 9).await;
    land(&bench, "kept-2", "kept", 12).await;
    assert!(
        bench.has_logged("kept-2", "offsets_lost"),
        "{}",
        bench.said("kept-2")
    );
    let report = bench.expect_whole().await;
    let partition = &report["partitions"][0];
    assert_eq!(
        (&partition["to"], &partition["landed"]),
        (&11.into(), &7.into()),
        "{report:#}"
    );
    assert_eq!(
        partition["gaps"],
        json!({"before the log's start": 2, "lost to retention": 3}),
        "{report:#}"
    );

    // A consumer registered a batch and died; before the next one came retention took a
    // part of it.
    bench.kafka.create_topic("cut", 1).await.expect("a topic");
    for _ in 0..5 {
        bench.produce_to("cut", 0, TICK).await;
    }
    let manifest = bench.manifest("cut", &[TICK; 5]).await;
    bench.put_manifest(&manifest).await;
    delete_before(&bench, "cut", 3).await;
    bench.produce_to("cut", 0, TICK).await;
    land(&bench, "cut", "cut", 6).await;
    assert!(
        bench.has_logged("cut", "batch_incomplete"),
        "{}",
        bench.said("cut")
    );
    let report = bench.expect_whole().await;
    assert_eq!(
        report["partitions"][0]["gaps"],
        json!({"lost to retention": 3}),
        "{report:#}"
    );

    // The topic is recreated, with as many records as before.
    let admin = bench.kafka.admin().expect("an admin");
    admin
        .delete_topics(&["kept"], &AdminOptions::new())
        .await
        .expect("deleted");
    tokio::time::sleep(Duration::from_secs(1)).await;
    bench.kafka.create_topic("kept", 1).await.expect("a topic");
    for _ in 0..20 {
        bench.produce_to("kept", 0, TICK).await;
    }
    let said = bench.parked("recreated", &["--topic", "kept"]).await;
    assert!(
        said.contains(
            "topic \\\"kept\\\" was deleted and recreated since offset 12 of partition 0 was landed"
        ),
        "{said}"
    );
    assert!(
        said.contains("land the new one into another bucket"),
        "{said}"
    );

    // The log ends before the landed offsets.
    bench.kafka.create_topic("short", 1).await.expect("a topic");
    bench.produce_to("short", 0, TICK).await;
    let id = bench.topic_id("short").await;
    bench
        .put_manifest(&lake::Manifest::of_gap(
            "short",
            &id,
            0,
            (0, 99),
            lake::GapReason::Skipped,
            "x".to_owned(),
        ))
        .await;
    let said = bench.parked("short", &["--topic", "short"]).await;
    let wanted = "the log of partition 0 of topic \\\"short\\\" ends at 1, \
                  and 100 offsets of it have landed";
    assert!(said.contains(wanted), "{said}");

    // A later version was here.
    bench.kafka.create_topic("later", 1).await.expect("a topic");
    let key = lake::ManifestKey {
        topic: "later".to_owned(),
        partition: 0,
        first: 0,
    };
    bench
        .put(
            &key.to_string(),
            br#"{"version":9,"writer":"ticklake/9.9.9"}"#.to_vec(),
        )
        .await;
    let said = bench.parked("later", &["--topic", "later"]).await;
    assert!(said.contains("run ticklake/9.9.9 or later"), "{said}");

    // Another program wrote among the manifests.
    bench
        .kafka
        .create_topic("shared", 1)
        .await
        .expect("a topic");
    let key = "_manifests/shared/0/0-readme.txt";
    bench.put(key, b"read me".to_vec()).await;
    let said = bench.parked("shared", &["--topic", "shared"]).await;
    let remedy =
        format!("{key} is not a manifest's key, and another program wrote it: move it away");
    assert!(said.contains(&remedy), "{said}");

    // Compaction takes records at any time.
    let compacted =
        rdkafka::admin::NewTopic::new("compacted", 1, rdkafka::admin::TopicReplication::Fixed(1))
            .set("cleanup.policy", "compact");
    admin
        .create_topics([&compacted], &AdminOptions::new())
        .await
        .expect("a topic");
    let said = bench.refused(&["--topic", "compacted"]).await;
    assert!(
        said.contains("topic \"compacted\" is compacted") && said.contains("cleanup.policy=delete"),
        "{said}"
    );
    bench.end().await;
}

/// The reader is in mid-stream: only at its start it compares the lake with the log.
#[tokio::test(flavor = "multi_thread")]
async fn what_retention_takes_before_a_running_reader_comes_to_it_is_a_gap() {
    let bench = Bench::with_partitions(KafkaKind::Apache, 1).await;
    let process = bench.start("consumer", &["--max-age", "200ms"]).await;
    bench.produce_ticks(0, 5).await;
    bench.landed(5).await;
    bench.processes.signal(process, Signal::STOP).await;
    // The fetch that it has sent before ends without records.
    tokio::time::sleep(Duration::from_secs(1)).await;
    bench.produce_ticks(0, 10).await;
    delete_before(&bench, "ticks", 12).await;
    bench.processes.signal(process, Signal::CONT).await;
    let lake = bench.landed(8).await;
    let mut offsets: Vec<i64> = bench
        .lines(&lake, "")
        .await
        .iter()
        .filter_map(|line| line["kafka_offset"].as_i64())
        .collect();
    offsets.sort_unstable();
    assert_eq!(offsets, [0, 1, 2, 3, 4, 12, 13, 14]);
    bench.stop(process, "consumer").await;
    assert!(
        bench.has_logged("consumer", "offsets_lost"),
        "{}",
        bench.said("consumer")
    );
    let report = bench.expect_whole().await;
    let partition = &report["partitions"][0];
    assert_eq!(
        (&partition["landed"], &partition["absent"]),
        (&8.into(), &0.into()),
        "{report:#}"
    );
    assert_eq!(
        partition["gaps"],
        json!({"lost to retention": 7}),
        "{report:#}"
    );
    bench.end().await;
}

/// Committed and aborted transactions leave offsets that no record has.
#[tokio::test(flavor = "multi_thread")]
async fn transactions_leave_absent_offsets_and_aborted_records_do_not_land() {
    let bench = Bench::with_partitions(KafkaKind::Apache, 1).await;
    let producer = bench.transactional();
    for commit in [true, false, true, false] {
        producer.begin_transaction().expect("begun");
        for _ in 0..3 {
            bench::send_tick(&producer).await;
        }
        match commit {
            true => producer
                .commit_transaction(WAIT_TIMEOUT)
                .expect("committed"),
            false => producer.abort_transaction(WAIT_TIMEOUT).expect("aborted"),
        }
    }
    let process = bench
        .start("consumer", &["--max-age", "300ms", "--max-rows", "2"])
        .await;
    bench.landed(6).await;
    bench.stop(process, "consumer").await;
    // A start in the middle of a hole.
    let process = bench.start("second", &["--max-age", "300ms"]).await;
    bench
        .wait_for_event(
            "second",
            "partition_reading",
            json!({"partition": 0, "next": 11}),
        )
        .await;
    for _ in 0..2 {
        bench.produce(0, TICK).await;
    }
    let lake = bench.landed(8).await;
    bench.stop(process, "second").await;
    assert!(
        !bench.has_logged("second", "offsets_lost"),
        "{}",
        bench.said("second")
    );
    let mut offsets: Vec<i64> = bench
        .lines(&lake, "")
        .await
        .iter()
        .filter_map(|line| line["kafka_offset"].as_i64())
        .collect();
    offsets.sort_unstable();
    assert_eq!(offsets, [0, 1, 2, 8, 9, 10, 16, 17]);
    let report = bench.expect_whole().await;
    let partition = &report["partitions"][0];
    // 6 aborted records and 4 markers.
    assert_eq!(
        (&partition["landed"], &partition["absent"], &partition["to"]),
        (&8.into(), &10.into(), &17.into()),
        "{report:#}"
    );
    assert_eq!(partition["gaps"], json!({}), "{report:#}");
    bench.end().await;
}

/// The marker at the end of the log is not a record, and its offset stayed after the
/// landed ones: "no data lands", for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_transactional_topic_is_neither_behind_nor_stalled_once_all_has_landed() {
    let bench = Bench::with_partitions(KafkaKind::Apache, 1).await;
    let producer = bench.transactional();
    let address = format!("127.0.0.1:{}", free_port().expect("a port"));
    let arguments = ["--max-age", "300ms", "--listen", &address];
    let is_level = |metrics: &str| {
        metrics.contains("ticklake_lag_records{partition=\"0\"} 0\n")
            && metrics.contains("ticklake_stalled_seconds{partition=\"0\"} 0\n")
    };
    let mut process = bench.start("first", &arguments).await;
    for transaction in 1..=2 {
        producer.begin_transaction().expect("begun");
        bench::send_tick(&producer).await;
        producer
            .commit_transaction(WAIT_TIMEOUT)
            .expect("committed");
        bench.landed(transaction).await;
        let landed = format!(
            "ticklake_next_offset{{partition=\"0\"}} {}\n",
            2 * transaction - 1
        );
        bench
            .get_until(&address, "/metrics", |metrics| metrics.contains(&landed))
            .await;
        bench.get_until(&address, "/metrics", is_level).await;
    }
    bench.stop(process, "first").await;
    // A start right before a marker.
    process = bench.start("second", &arguments).await;
    bench
        .wait_for_event("second", "partition_reading", json!({}))
        .await;
    bench.get_until(&address, "/metrics", is_level).await;
    // A transaction that is open is behind.
    producer.begin_transaction().expect("begun");
    bench::send_tick(&producer).await;
    bench
        .get_until(&address, "/metrics", |metrics| {
            metrics.contains("ticklake_lag_records{partition=\"0\"} 1\n")
        })
        .await;
    producer.abort_transaction(WAIT_TIMEOUT).expect("aborted");
    bench.get_until(&address, "/metrics", is_level).await;
    bench.stop(process, "second").await;
    bench.expect_whole().await;
    bench.end().await;
}

/// confluentinc/kafka-connect-storage-cloud #253: a worker that was taken for dead comes
/// back and overwrites a committed file.
#[tokio::test(flavor = "multi_thread")]
async fn a_zombie_overwrites_and_repeats_nothing() {
    let bench = Bench::with(KafkaKind::Apache).await;
    let config = bench.log("sessions.yaml");
    std::fs::write(
        &config,
        "kafka:\n  options:\n    session.timeout.ms: \"6000\"\n",
    )
    .expect("a file");
    let config = config.display().to_string();
    let zombie = bench
        .start("zombie", &["--max-age", "10s", "--config", &config])
        .await;
    bench
        .wait_for_event("zombie", "partition_reading", json!({"partition": 3}))
        .await;
    for partition in 0..4 {
        bench.produce_ticks(partition, 50).await;
        bench.produce_mark(partition, "zombie").await;
    }
    // In the middle of the stream: it has read records that it has not landed.
    bench.processes.signal(zombie, Signal::STOP).await;
    let second = bench
        .start("second", &["--max-age", "100ms", "--config", &config])
        .await;
    bench.landed(204).await;
    bench.processes.signal(zombie, Signal::CONT).await;
    bench
        .wait_for_event("zombie", "batch_overtaken", json!({}))
        .await;
    for partition in 0..4 {
        bench.produce_ticks(partition, 20).await;
    }
    let lake = bench.landed(284).await;
    for partition in 0..4 {
        bench.expect_once(&lake, partition, 71).await;
    }
    bench.stop(zombie, "zombie").await;
    bench.stop(second, "second").await;
    bench.expect_whole().await;
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_group_protocols_and_static_members_share_the_partitions() {
    let bench = Bench::with(KafkaKind::Apache).await;
    let mut rows = 0;
    for (group, options) in [
        ("kip-848", &["--group-protocol", "consumer"][..]),
        ("static", &[][..]),
    ] {
        let member = |name: &'static str| {
            let mut arguments = vec!["--group", group, "--max-age", "200ms"];
            arguments.extend(options);
            if group == "static" {
                arguments.extend(["--group-instance-id", name]);
            }
            arguments
        };
        let first = bench.start("first", &member("first")).await;
        bench
            .wait_for_event("first", "partition_reading", json!({}))
            .await;
        let second = bench.start("second", &member("second")).await;
        bench
            .wait_for_event("second", "partition_reading", json!({}))
            .await;
        for partition in 0..4 {
            bench.produce_ticks(partition, 5).await;
        }
        rows += 20;
        bench.landed(rows).await;
        assert!(
            bench.has_logged("first", "batch_sealed") && bench.has_logged("second", "batch_sealed"),
            "{group}: not shared"
        );
        bench.stop(first, "first").await;
        if group == "static" {
            // It keeps its partitions over a restart: the other one does not get them
            // within two heartbeats.
            let assigned = |name: &str| bench.events(name, "partition_assigned", &json!({})).len();
            let before = assigned("second");
            tokio::time::sleep(Duration::from_secs(7)).await;
            let again = bench.start("first", &member("first")).await;
            bench
                .wait_for_event("first", "partition_reading", json!({}))
                .await;
            for partition in 0..4 {
                bench.produce_ticks(partition, 5).await;
            }
            rows += 20;
            bench.landed(rows).await;
            assert_eq!(
                (assigned("first"), assigned("second")),
                (2, before),
                "{}",
                bench.said("second")
            );
            assert!(
                !bench.has_logged("second", "partitions_revoked"),
                "{}",
                bench.said("second")
            );
            bench.stop(again, "first").await;
        }
        bench.stop(second, "second").await;
    }
    bench.expect_whole().await;
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_that_somebody_set_or_deleted_change_nothing_but_are_told() {
    let bench = Bench::with_partitions(KafkaKind::Apache, 1).await;
    bench.produce_ticks(0, 5).await;
    land(&bench, "first", "ticks", 5).await;
    let client: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bench.kafka.brokers())
        .set("group.id", "tick-consumer")
        .create()
        .expect("a client");
    for (offset, name, event) in [
        (3, "behind", "commit_behind"),
        (900, "ahead", "commit_ahead"),
    ] {
        let mut offsets = TopicPartitionList::new();
        offsets
            .add_partition_offset("ticks", 0, Offset::Offset(offset))
            .expect("an offset");
        client
            .commit(&offsets, CommitMode::Sync)
            .expect("committed");
        let process = bench.start(name, &["--max-age", "200ms"]).await;
        bench.wait_for_event(name, event, json!({})).await;
        bench.stop(process, name).await;
    }
    let process = bench
        .start(
            "expired",
            &["--max-age", "200ms", "--group", "one-without-offsets"],
        )
        .await;
    bench
        .wait_for_event("expired", "commit_missing", json!({}))
        .await;
    bench.produce_ticks(0, 5).await;
    bench.landed(10).await;
    bench.stop(process, "expired").await;
    let report = bench.expect_whole().await;
    assert_eq!(report["partitions"][0]["landed"], 10, "{report:#}");
    bench.end().await;
}

/// Without ids nobody notices that a topic was deleted and recreated, and its records
/// count as landed.
#[tokio::test(flavor = "multi_thread")]
async fn brokers_without_topic_ids_are_refused_unless_the_risk_is_accepted() {
    let bench = Bench::with_partitions(KafkaKind::Apache, 1).await;
    // The broker says that it knows metadata up to version 9, as Kafka 2.7 does: ids come
    // with version 10.
    let versions = |max: u8| [0, 3, 0, 0, 0, max];
    let proxy = KafkaProxy::start(bench.kafka.brokers(), move |answer| {
        replace(answer, &versions(13), &versions(9))
    })
    .await;
    for command in ["run", "check"] {
        let said = bench
            .refused(&[command, "--brokers", &proxy.brokers()])
            .await;
        assert!(
            said.contains("give topic \"ticks\" no id: they are older than Kafka 2.8"),
            "{said}"
        );
        assert!(
            said.contains("lake.accept_brokers_without_topic_ids"),
            "{said}"
        );
    }
    let accepted = [
        "--brokers",
        &proxy.brokers(),
        "--max-age",
        "300ms",
        "--accept-brokers-without-topic-ids",
    ];
    let process = bench.start("consumer", &accepted).await;
    bench.produce_ticks(0, 3).await;
    let lake = bench.landed(3).await;
    bench.expect_once(&lake, 0, 3).await;
    bench.stop(process, "consumer").await;
    bench.end().await;
}

/// No connection breaks, and under KIP-848 the client never takes its assignment for
/// lost: nothing but the silence tells that Kafka is away.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_hangs_is_noticed_under_both_group_protocols() {
    let bench = Bench::with(KafkaKind::Apache).await;
    bench.produce_ticks(0, 5).await;
    let mut consumers = Vec::new();
    for protocol in ["classic", "consumer"] {
        let address = format!("127.0.0.1:{}", free_port().expect("a port"));
        let arguments = [
            "--group",
            protocol,
            "--group-protocol",
            protocol,
            "--max-age",
            "300ms",
            "--listen",
            &address,
        ];
        let process = bench.start(protocol, &arguments).await;
        bench.wait_for_event(protocol, "serving", json!({})).await;
        bench
            .get_until(&address, "/metrics", |metrics| {
                metrics.contains("ticklake_lag_records{partition=\"0\"} 0\n")
            })
            .await;
        consumers.push((protocol, process, address));
    }
    let broker = bench.kafka.process().expect("a process");
    bench.processes.signal(broker, Signal::STOP).await;
    for (_, _, address) in &consumers {
        bench
            .get_until(address, "/ready", |ready| {
                ready.contains("no answer from the group for")
            })
            .await;
        bench
            .get_until(address, "/metrics", |metrics| {
                !metrics.contains("ticklake_lag_records{")
            })
            .await;
    }
    bench.processes.signal(broker, Signal::CONT).await;
    for (protocol, process, address) in &consumers {
        bench
            .get_until(address, "/ready", |ready| ready.starts_with("HTTP/1.1 200"))
            .await;
        bench
            .get_until(address, "/metrics", |metrics| {
                metrics.contains("ticklake_lag_records{partition=\"0\"} 0\n")
            })
            .await;
        bench.stop(*process, protocol).await;
    }
    bench.end().await;
}

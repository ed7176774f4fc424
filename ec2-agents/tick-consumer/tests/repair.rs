//! Batches that their consumer left incomplete, and records that do not come as they were
//! sent, on a real broker.

#![allow(clippy::expect_used, reason = "a test says what it expected")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use bench::kafka_proxy::{KafkaProxy, find};
use bench::{Bench, TICK, WAIT_TIMEOUT};
use local::KafkaKind;
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{FutureRecord, Producer as _};
use serde_json::json;

mod bench;

/// Produces records whose headers have names that are not UTF-8, as Kafka allows.
async fn produce_with_headers(bench: &Bench, topic: &str, values: &[&[u8]]) {
    for value in values {
        let headers = kafka_native::add_header(OwnedHeaders::new(), b"\xff\xfe", Some(b"\x00\xff"));
        let headers = kafka_native::add_header(headers, "straße".as_bytes(), None);
        let record = FutureRecord::<(), [u8]>::to(topic)
            .partition(0)
            .payload(value)
            .headers(headers);
        bench
            .producer
            .send(record, WAIT_TIMEOUT)
            .await
            .map_err(|(error, _)| error)
            .expect("a delivery");
    }
}

fn headers() -> serde_json::Value {
    json!([{"name_base64": "//4=", "value_base64": "AP8="}, {"name": "straße", "value": null}])
}

/// A name that was read as text was lost if it is not UTF-8.
#[tokio::test(flavor = "multi_thread")]
async fn header_names_that_are_not_utf_8_are_kept_in_dead_letters_and_replayed_byte_for_byte() {
    let bench = Bench::with_partitions(KafkaKind::Apache, 1).await;
    let config = bench.log("small.yaml");
    std::fs::write(&config, "records:\n  max_bytes: 20B\n").expect("a file");
    let arguments = [
        "--max-age",
        "300ms",
        "--config",
        &config.display().to_string(),
    ];
    produce_with_headers(&bench, "ticks", &[TICK]).await;
    let process = bench.start("first", &arguments).await;
    let lake = bench.landed(1).await;
    assert_eq!(
        bench.lines(&lake, "dead-letter/").await[0]["headers"],
        headers()
    );
    let (is_done, said) = bench.command(&["dead-letters", "replay", "0:0"]).await;
    assert!(
        is_done && said.contains("produced again, now 0:1"),
        "{said}"
    );
    // It is a dead letter once more, and says so with the headers that it came with.
    let lake = bench.landed(2).await;
    bench.stop(process, "first").await;
    let mut replayed = bench
        .lines(&lake, "dead-letter/")
        .await
        .into_iter()
        .find(|letter| letter["kafka_offset"] == 1)
        .expect("a letter");
    let origin = replayed["headers"]
        .as_array_mut()
        .expect("headers")
        .pop()
        .expect("a header");
    assert_eq!(
        (&replayed["headers"], &origin["name"]),
        (&headers(), &"ticklake-origin".into())
    );
    bench.expect_whole().await;
    bench.end().await;
}

/// The repair panicked at such a name and was tried again for ever, and `skip`, which
/// repairs first, with it.
#[tokio::test(flavor = "multi_thread")]
async fn incomplete_batches_with_header_names_that_are_not_utf_8_are_completed_by_consumers_and_by_skip()
 {
    let bench = Bench::with_partitions(KafkaKind::Apache, 1).await;
    let values = [TICK, b"poison", TICK];
    for topic in ["consumed", "skipped"] {
        bench.kafka.create_topic(topic, 1).await.expect("a topic");
        produce_with_headers(&bench, topic, &[&values[..], &[TICK, TICK]].concat()).await;
        let manifest = bench.manifest(topic, &values).await;
        bench.put_manifest(&manifest).await;
    }
    let process = bench
        .start("consumer", &["--topic", "consumed", "--max-age", "200ms"])
        .await;
    bench
        .wait_for_event("consumer", "batch_sealed", json!({"last": 4}))
        .await;
    bench.stop(process, "consumer").await;
    assert!(
        bench.has_logged("consumer", "batch_incomplete"),
        "{}",
        bench.said("consumer")
    );
    let (is_done, said) = bench
        .command(&[
            "skip",
            "--topic",
            "skipped",
            "--partition",
            "0",
            "--to",
            "4",
        ])
        .await;
    assert!(
        is_done && said.contains("skipped offsets 3 to 3") && !said.contains("given up"),
        "{said}"
    );
    let report = bench.expect_whole().await;
    let [consumed, skipped] = [&report["partitions"][0], &report["partitions"][1]];
    assert_eq!(
        (
            &consumed["landed"],
            &consumed["dead_letters"],
            &consumed["gaps"]
        ),
        (&4.into(), &1.into(), &json!({})),
        "{report:#}"
    );
    let gaps = json!({"skipped by an operator": 1});
    assert_eq!(
        (
            &skipped["landed"],
            &skipped["dead_letters"],
            &skipped["gaps"]
        ),
        (&2.into(), &1.into(), &gaps),
        "{report:#}"
    );
    let lake = bench.landed(7).await;
    let letters = bench.lines(&lake, "dead-letter/").await;
    assert!(
        letters.len() == 2 && letters.iter().all(|letter| letter["headers"] == headers()),
        "{letters:?}"
    );
    bench.end().await;
}

/// `skip` completes the newest batch first, so that one which nobody can complete was in
/// its way, too.
#[tokio::test(flavor = "multi_thread")]
async fn skip_gets_past_a_batch_that_cannot_be_repaired_and_says_how_much_of_it_is_lost() {
    let bench = Bench::with_partitions(KafkaKind::Apache, 1).await;
    // The version that registered the batch took offset 1 for a tick.
    for value in [TICK, b"poison", TICK] {
        bench.produce(0, value).await;
    }
    let manifest = bench.manifest("ticks", &[TICK; 3]).await;
    bench.put_manifest(&manifest).await;
    let said = bench.parked("parked", &[]).await;
    assert!(
        said.contains("offset 1 was a tick for ticklake/")
            && said.contains("tick-consumer skip --partition 0 --to 3"),
        "{said}"
    );
    let (is_done, said) = bench
        .command(&["skip", "--partition", "0", "--to", "2"])
        .await;
    assert!(
        !is_done && said.contains("offset 1 was a tick for"),
        "gives up no more than it is asked to: {said}"
    );
    let (is_done, said) = bench
        .command(&["skip", "--partition", "0", "--to", "3"])
        .await;
    assert!(
        is_done && said.contains("1 of its offsets could not be read and are given up"),
        "{said}"
    );
    let process = bench.start("consumer", &["--max-age", "200ms"]).await;
    bench.produce(0, TICK).await;
    bench
        .wait_for_event("consumer", "batch_sealed", json!({"last": 3}))
        .await;
    bench.stop(process, "consumer").await;
    let report = bench.expect_whole().await;
    let partition = &report["partitions"][0];
    assert_eq!(
        (&partition["landed"], &partition["gaps"]),
        (&3.into(), &json!({"skipped by an operator": 1})),
        "{report:#}"
    );
    bench.end().await;
}

/// An object is created once: without a row that its manifest names it would be without
/// it for good.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_the_log_gives_only_a_part_of_is_not_completed_with_that() {
    let bench = Bench::with_partitions(KafkaKind::Apache, 1).await;
    let producer = bench.transactional();
    producer.begin_transaction().expect("begun");
    for _ in 0..2 {
        bench::send_tick(&producer).await;
    }
    producer
        .commit_transaction(WAIT_TIMEOUT)
        .expect("committed");
    // The transaction's marker comes when it likes, and stands at offset 2.
    let deadline = Instant::now() + WAIT_TIMEOUT;
    while producer
        .client()
        .fetch_watermarks("ticks", 0, WAIT_TIMEOUT)
        .expect("bounds")
        .1
        < 3
    {
        assert!(Instant::now() < deadline, "no marker");
    }
    bench.produce(0, TICK).await;
    let manifest = bench.manifest("ticks", &[TICK; 4]).await;
    bench.put_manifest(&manifest).await;
    let process = bench.start("consumer", &["--max-age", "200ms"]).await;
    let refused =
        "offset 2 is in the batch from 0 to 3, and the log did not give it when it was read again";
    let fields = json!({"operation": "read back", "error": refused});
    bench.wait_for_event("consumer", "retrying", fields).await;
    let lake = bench.landed(0).await;
    assert_eq!(lake.objects.len(), 0, "{:?}", lake.objects.keys());
    bench.stop(process, "consumer").await;
    let (is_done, said) = bench
        .command(&["skip", "--partition", "0", "--to", "4"])
        .await;
    assert!(
        is_done && said.contains("1 of its offsets could not be read and are given up"),
        "{said}"
    );
    let report = bench.expect_whole().await;
    assert_eq!(report["partitions"][0]["landed"], 3, "{report:#}");
    bench.end().await;
}

/// Gives the batch that begins at `offset` and has `text` in it a form that does not
/// exist, once.
fn damage(answer: &mut [u8], offset: i64, text: &[u8], has_damaged: &AtomicBool) {
    // The place of a batch's form, and the form of all of them.
    const MAGIC: (usize, u8) = (16, 2);
    let Some(place) = find(answer, text).first().copied() else {
        return;
    };
    let batches = find(&answer[..place], &offset.to_be_bytes());
    let magic = batches
        .iter()
        .map(|batch| batch + MAGIC.0)
        .rfind(|magic| answer[*magic] == MAGIC.1);
    if !has_damaged.swap(true, Ordering::SeqCst) {
        answer[magic.expect("the batch")] = u8::MAX >> 1;
    }
}

/// librdkafka reports a batch that it cannot read and goes on behind it: a hole that
/// looks like those of transactions.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_arrives_damaged_is_read_again_and_not_taken_for_absent() {
    lands_after_damage(&["DAMAGED", "C", "D"]).await;
}

/// No record comes behind the hole that would show it.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_arrives_damaged_at_the_end_of_the_log_is_read_again() {
    lands_after_damage(&["DAMAGED"]).await;
}

async fn lands_after_damage(symbols: &[&str]) {
    let bench = Bench::with_partitions(KafkaKind::Apache, 1).await;
    let has_damaged = Arc::new(AtomicBool::new(false));
    let once = Arc::clone(&has_damaged);
    let proxy = KafkaProxy::start(bench.kafka.brokers(), move |answer| {
        damage(answer, 2, b"DAMAGED", &once)
    })
    .await;
    let process = bench
        .start(
            "consumer",
            &["--brokers", &proxy.brokers(), "--max-age", "500ms"],
        )
        .await;
    bench.produce_ticks(0, 2).await;
    // From here on it is in the middle of the stream.
    bench.landed(2).await;
    for symbol in symbols {
        bench
            .produce(
                0,
                format!(r#"{{"symbol":"{symbol}","event_time":0,"price":1}}"#).as_bytes(),
            )
            .await;
    }
    let landed = 2 + symbols.len();
    bench
        .wait_for_event("consumer", "batch_sealed", json!({"last": landed - 1}))
        .await;
    bench.stop(process, "consumer").await;
    assert!(has_damaged.load(Ordering::SeqCst), "nothing was damaged");
    assert!(
        bench.has_logged("consumer", "read_failed"),
        "{}",
        bench.said("consumer")
    );
    let report = bench.expect_whole().await;
    let partition = &report["partitions"][0];
    assert_eq!(
        (&partition["landed"], &partition["absent"]),
        (&landed.into(), &0.into()),
        "{report:#}"
    );
    bench.end().await;
}

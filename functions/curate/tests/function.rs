//! Runs the function as Lambda does, over a lake in a local AWS.

#![allow(
    clippy::expect_used,
    unreachable_pub,
    reason = "a test says what it expected"
)]

use std::time::Duration;

use bench::{BUCKET, Bench, HOUR, HOUR_MS, Message, work};
use curation::{Outcome, PriceMove, Reason, Summary, Table};
use lake::Format;
use local::{Conditions, Fault, FaultProxy, RawTicks, wait_until};
use serde_json::json;
use tick::{EventTime, Symbol};

mod bench;

const COUNTS: &str = "SELECT count(*), count(DISTINCT (kafka_partition, kafka_offset)), \
                      (SELECT sum(ticks) FROM bars_1m) FROM curated_ticks";

fn location(table: &str, version: u32) -> String {
    format!("s3://{BUCKET}/curated/{table}/{HOUR}/v={version:06}/")
}

/// Returns the outcome of a version with two symbols, a bar of each, and these moves.
fn committed(base: Option<u32>, ticks: u64, moves: &[(&str, f64, f64)]) -> Outcome {
    let time = |text| EventTime::parse_rfc3339(text).expect("a time");
    let moved = |(symbol, open, close): &(&str, f64, f64)| {
        PriceMove::new(Symbol::parse(symbol).expect("a symbol"), *open, *close)
    };
    let summary = Summary {
        ticks,
        symbols: 2,
        bars: 2,
        event_times: Some((time("2026-11-21T05:00:00Z"), time("2026-11-21T05:00:02Z"))),
        moves: moves.iter().filter_map(moved).collect(),
    };
    Outcome::Committed { base, summary }
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_objects_of_every_format_become_one_version_and_late_ones_the_next() {
    let bench = Bench::new().await;
    let mut function = bench.start(&[("CURATE_RETIRE_HOURS", "0")]).await;
    let ticks = [("B", 2.5), ("A", 1.0), ("B", 3.0)];
    for (partition, format) in (0..).zip(Format::ALL) {
        bench.land(format, partition, 0, &ticks).await;
    }
    let summary = bench.curate(&mut function).await;
    assert_eq!(summary["curated"], 1, "{summary}");
    assert_eq!(
        bench.outcomes().await,
        [committed(None, 9, &[("B", 2.5, 3.0), ("A", 1.0, 1.0)])]
    );
    assert_eq!(bench.locations(Table::Ticks).await, [location("ticks", 0)]);
    assert_eq!(bench.locations(Table::Bars).await, [location("bars_1m", 0)]);
    assert_eq!(bench.query(COUNTS).await, [["9", "9", "9"]]);
    let bars = "SELECT symbol, minute, open, high, low, close, volume, ticks \
                FROM bars_1m ORDER BY symbol";
    let minute = "2026-11-21 05:00:00";
    assert_eq!(
        bench.query(bars).await,
        [
            ["A", minute, "1.0", "1.0", "1.0", "1.0", "6.0", "3"],
            ["B", minute, "2.5", "3.0", "2.5", "3.0", "12.0", "6"],
        ]
    );

    bench.land(Format::Parquet, 0, 3, &[("A", 7.0)]).await;
    let summary = bench.curate(&mut function).await;
    assert_eq!(summary["curated"], 1, "{summary}");
    let outcomes = bench.outcomes().await;
    let late = committed(Some(0), 10, &[("A", 7.0, 1.0), ("B", 2.5, 3.0)]);
    assert_eq!((outcomes.len(), &outcomes[1]), (2, &late));
    assert_eq!(bench.locations(Table::Ticks).await, [location("ticks", 1)]);
    assert_eq!(bench.locations(Table::Bars).await, [location("bars_1m", 1)]);
    assert_eq!(bench.query(COUNTS).await, [["10", "10", "10"]]);
    for (version, wanted) in [(0, 1), (1, 0)] {
        let key = format!("curated/ticks/{HOUR}/v={version:06}/part-0000.parquet");
        let tags = bench
            .s3
            .get_object_tagging()
            .bucket(BUCKET)
            .key(key)
            .send()
            .await;
        let tags = tags.expect("GetObjectTagging");
        assert_eq!(tags.tag_set().len(), wanted, "version {version}: {tags:?}");
    }
    let again = bench.look(&mut function, json!({})).await;
    assert_eq!(
        (&again["planned"], &again["units_sent"]),
        (&json!(0), &json!(0))
    );
    bench.stop([function]).await;
}

/// A message may come at any time, and with a receive count that gives a unit up.
#[tokio::test(flavor = "multi_thread")]
async fn messages_that_come_twice_to_two_workers_at_once_change_nothing() {
    let bench = Bench::new().await;
    let mut one = bench.start(&[]).await;
    let mut other = bench.start(&[]).await;
    bench
        .land(Format::Parquet, 0, 0, &[("A", 1.0), ("B", 2.0)])
        .await;
    bench.look(&mut one, json!({})).await;
    let tasks = bench.tasks().await;
    assert_eq!(tasks.len(), 1, "{tasks:?}");
    let (first, second) = tokio::join!(work(&mut one, &tasks[0]), work(&mut other, &tasks[0]));
    assert!(!first && !second, "{}", bench.log());
    let late = Message {
        receives: 3,
        ..tasks[0].clone()
    };
    bench.expect_done(&mut other, &late).await;
    bench.expect_committed().await;
    assert_eq!(bench.query(COUNTS).await, [["2", "2", "2"]]);
    bench.expect_nothing_overwritten().await;
    bench.stop([one, other]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_object_keeps_its_hour_raw_and_no_other() {
    let bench = Bench::new().await;
    let mut function = bench.start(&[]).await;
    bench.land(Format::Parquet, 0, 0, &[("A", 1.0)]).await;
    let key = format!("ticks/{HOUR}/ticks-0-{:020}-{:020}.parquet", 0, 0);
    bench.overwrite(&key, b"not Parquet").await;
    let next_hour = RawTicks {
        format: Format::Parquet,
        first_ms: HOUR_MS + 3_600_000,
        partition: 0,
        first_offset: 1,
        ticks: &[("A", 1.0)],
    };
    let put = next_hour.put(&bench.ministack.aws, BUCKET);
    put.await.expect("a raw object");
    let summary = bench.curate(&mut function).await;
    assert_eq!(
        (&summary["stuck"], &summary["curated"]),
        (&json!(1), &json!(1)),
        "{summary}"
    );
    let outcomes = bench.outcomes().await;
    assert_eq!(outcomes.len(), 3, "{outcomes:?}");
    for outcome in outcomes {
        let Outcome::Abandoned {
            unit: 0,
            reason: Reason::Unreadable { key: named, .. },
        } = outcome
        else {
            panic!("{outcome:?}");
        };
        assert_eq!(named, key);
    }
    let next = location("ticks", 0).replace("hr=05", "hr=06");
    assert_eq!(bench.locations(Table::Ticks).await, [next]);

    // Somebody repairs the object and forces another try.
    bench.land(Format::Parquet, 0, 0, &[("A", 1.0)]).await;
    let summary = bench.look(&mut function, json!({"force": true})).await;
    assert_eq!(summary["planned"], 1, "{summary}");
    bench.curate(&mut function).await;
    bench.expect_newest_committed().await;
    assert_eq!(bench.query(COUNTS).await, [["2", "2", "2"]]);
    bench.stop([function]).await;
}

/// An object that ticklake wrote, but below the key of another.
#[tokio::test(flavor = "multi_thread")]
async fn a_copied_object_is_not_counted_twice() {
    let bench = Bench::new().await;
    let mut function = bench.start(&[]).await;
    bench.land(Format::Parquet, 0, 0, &[("A", 1.0)]).await;
    bench.land(Format::Parquet, 1, 0, &[("A", 2.0)]).await;
    let key = |partition| format!("ticks/{HOUR}/ticks-{partition}-{:020}-{:020}.parquet", 0, 0);
    let copied = bench.s3.get_object().bucket(BUCKET).key(key(0)).send();
    let copied = copied.await.expect("GetObject").body.collect().await;
    let copied = copied.expect("a body").into_bytes();
    bench.overwrite(&key(1), &copied).await;
    let summary = bench.curate(&mut function).await;
    assert_eq!(summary["stuck"], 1, "{summary}");
    let outcomes = bench.outcomes().await;
    let Some(Outcome::Abandoned {
        reason: Reason::Unreadable {
            key: named,
            problem,
        },
        ..
    }) = outcomes.last()
    else {
        panic!("{outcomes:?}");
    };
    assert_eq!(*named, key(1));
    assert!(
        problem.contains("Kafka partition 0 and offset 0"),
        "{problem}"
    );
    bench.stop([function]).await;
}

/// Somebody has deleted the registers, and a plan has the number of an earlier one. Its
/// outputs are there already, but without the ticks that came later.
#[tokio::test(flavor = "multi_thread")]
async fn outputs_of_another_plan_are_never_committed() {
    let bench = Bench::new().await;
    let mut function = bench.start(&[]).await;
    bench.land(Format::Parquet, 0, 0, &[("A", 1.0)]).await;
    bench.curate(&mut function).await;
    let registers = ["plan", "sent-0", "unit-0000", "outcome"];
    bench.delete_registers(&registers).await;
    bench.land(Format::Parquet, 0, 1, &[("A", 2.0)]).await;
    let summary = bench.curate(&mut function).await;
    assert_eq!(summary["curated"], 1, "{summary}");
    let outcomes = bench.outcomes().await;
    let [
        Outcome::Abandoned {
            reason: Reason::Unreadable { problem, .. },
            ..
        },
        Outcome::Committed { base: None, .. },
    ] = &outcomes[..]
    else {
        panic!("{outcomes:?}");
    };
    assert!(problem.starts_with("another plan made it"), "{problem}");
    assert_eq!(bench.query(COUNTS).await, [["2", "2", "2"]]);
    bench.stop([function]).await;
}

/// Somebody has deleted all registers. The outputs of the same plan are there, but not
/// their figures.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_whose_summary_is_gone_is_made_again() {
    let bench = Bench::new().await;
    let mut function = bench.start(&[]).await;
    bench.land(Format::Parquet, 0, 0, &[("A", 1.0)]).await;
    bench.curate(&mut function).await;
    let registers = ["plan", "sent-0", "unit-0000", "outcome"];
    bench.delete_registers(&registers).await;
    bench.curate(&mut function).await;
    let outcomes = bench.outcomes().await;
    let [
        Outcome::Abandoned {
            unit: 0,
            reason: Reason::Missing { key },
        },
        Outcome::Committed { base: None, .. },
    ] = &outcomes[..]
    else {
        panic!("{outcomes:?}");
    };
    assert_eq!(*key, format!("_curated/{HOUR}/000000.unit-0000.json"));
    assert_eq!(bench.query(COUNTS).await, [["1", "1", "1"]]);
    bench.stop([function]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_is_too_large_is_cut_smaller() {
    let bench = Bench::new().await;
    let mut function = bench.start(&[("CURATE_MAX_ROWS", "6")]).await;
    let symbols: Vec<String> = (0..16).map(|number| format!("S{number}")).collect();
    let ticks: Vec<_> = symbols
        .iter()
        .map(|symbol| (symbol.as_str(), 1.0))
        .collect();
    bench.land(Format::Json, 0, 0, &ticks).await;
    bench.curate(&mut function).await;
    let outcomes = bench.outcomes().await;
    let is_too_large = |outcome: &Outcome| {
        matches!(
            outcome,
            Outcome::Abandoned {
                reason: Reason::TooLarge { .. },
                ..
            }
        )
    };
    let (last, before) = outcomes.split_last().expect("an outcome");
    assert!(
        !before.is_empty() && before.iter().all(is_too_large),
        "{outcomes:?}"
    );
    assert!(last.is_committed(), "{outcomes:?}");
    assert_eq!(bench.query(COUNTS).await, [["16", "16", "16"]]);
    bench.stop([function]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hour_of_one_tick_with_a_long_symbol_waits_for_its_tables() {
    let bench = Bench::new().await;
    let mut function = bench.start(&[]).await;
    let symbol = "é".repeat(64);
    bench.land(Format::Csv, 0, 0, &[(&symbol, 1.0)]).await;
    bench.delete_table(Table::Bars).await;
    bench.look(&mut function, json!({})).await;
    let tasks = bench.tasks().await;
    assert!(work(&mut function, &tasks[0]).await, "{}", bench.log());
    bench.expect_committed().await;
    let plan = json!({"plan": {"through": "2026-12-01"}});
    let answer = function.invoke(&plan).await.expect("an answer");
    let error = answer.expect_err("no table");
    assert!(
        error.contains("table ticklake.bars_1m does not exist; create it"),
        "{error}"
    );
    bench.create_table(Table::Bars).await;
    let summary = bench.look(&mut function, json!({})).await;
    assert_eq!(summary["curated"], 1, "{summary}");
    let symbols = "SELECT t.symbol, b.symbol FROM curated_ticks t, bars_1m b";
    assert_eq!(bench.query(symbols).await, [[symbol.as_str(), &symbol]]);
    bench.stop([function]).await;
}

/// Errors, lost answers, late arrivals and conflicts, between two workers that get every
/// message. Late objects come until every fault has been seen.
#[tokio::test(flavor = "multi_thread")]
async fn faults_of_s3_change_nothing() {
    let bench = Bench::new().await;
    let endpoint = bench.ministack.aws.endpoint();
    let proxy = FaultProxy::start(endpoint, 7, Conditions::Kept)
        .await
        .expect("a proxy");
    let url = proxy.url();
    let settings = [("AWS_ENDPOINT_URL_S3", url.as_str())];
    let mut one = bench.start(&settings).await;
    let mut other = bench.start(&settings).await;
    let symbols: Vec<String> = (0..8).map(|number| format!("S{number}")).collect();
    let ticks: Vec<_> = symbols
        .iter()
        .map(|symbol| (symbol.as_str(), 1.0))
        .collect();
    bench.land(Format::Parquet, 0, 0, &ticks).await;
    proxy.set_rate(15);
    let plan = json!({"plan": {"through": "2026-12-01"}});
    let is_committed = async |version: usize| {
        let outcomes = bench.outcomes().await;
        outcomes.get(version).is_some_and(Outcome::is_committed)
    };
    let wanted = [
        Fault::InternalError,
        Fault::LostAnswer,
        Fault::LateArrival,
        Fault::Conflict,
    ];
    let mut landed = ticks.len();
    for version in 0.. {
        let mut waiting = Vec::new();
        while !is_committed(version).await {
            // Both may fail; the next look goes on.
            let looks = tokio::join!(one.invoke(&plan), other.invoke(&plan));
            let (Ok(_), Ok(_)) = looks else {
                panic!("a worker has ended: {}", bench.log());
            };
            waiting.extend(bench.tasks().await);
            let mut failed = Vec::new();
            for task in waiting {
                let (first, second) = tokio::join!(work(&mut one, &task), work(&mut other, &task));
                failed.extend((first || second).then_some(task));
            }
            waiting = failed;
        }
        let thrown = proxy.thrown();
        if version > 0 && wanted.iter().all(|fault| thrown.contains_key(fault)) {
            break;
        }
        assert!(version < 20, "{thrown:?}");
        let first = version.try_into().expect("few versions");
        bench.land(Format::Json, 1, first, &ticks[..1]).await;
        landed += 1;
    }
    proxy.set_rate(0);
    let limit = Duration::from_secs(10);
    let arrived = wait_until("late requests", limit, async || Ok(proxy.late() == 0));
    arrived.await.expect("their arrival");
    let summary = bench.curate(&mut one).await;
    assert_eq!(summary["curated"], 1, "{summary}");
    let landed = landed.to_string();
    let landed = landed.as_str();
    assert_eq!(bench.query(COUNTS).await, [[landed, landed, landed]]);
    bench.expect_nothing_overwritten().await;
    bench.stop([one, other]).await;
}

/// A worker that runs out of time or memory leaves no trace but its message's receive
/// count.
#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_comes_a_third_time_is_cut_smaller() {
    let bench = Bench::new().await;
    let mut function = bench.start(&[]).await;
    bench
        .land(Format::Parquet, 0, 0, &[("A", 1.0), ("B", 2.0)])
        .await;
    bench.look(&mut function, json!({})).await;
    let mut tasks = bench.tasks().await;
    tasks[0].receives = 3;
    bench.expect_done(&mut function, &tasks[0]).await;
    let unfinished = Outcome::Abandoned {
        unit: 0,
        reason: Reason::Unfinished,
    };
    assert_eq!(bench.outcomes().await, [unfinished]);
    let summary = bench.look(&mut function, json!({})).await;
    assert_eq!(summary["units_sent"], 4, "{summary}");
    for task in bench.tasks().await {
        bench.expect_done(&mut function, &task).await;
    }
    bench.expect_newest_committed().await;
    assert_eq!(bench.query(COUNTS).await, [["2", "2", "2"]]);
    bench.stop([function]).await;
}

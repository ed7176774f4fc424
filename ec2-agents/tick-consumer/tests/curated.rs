//! The curated hours by an operator's commands: `curate` makes them, `verify --curated`
//! finds each kind of fault that is made by hand, and `reconcile` the objects that
//! contradict the registers.

#![allow(clippy::expect_used, reason = "a test says what it expected")]

use curated_bench::{BUCKET, Bench, HOUR, OTHER};
use curation::Table;
use lake::Format;
use serde_json::Value;

mod curated_bench;

const PART: &str = "curated/ticks/dt=2026-11-21/hr=05/v=000000/part-0000.parquet";
const BARS: &str = "curated/bars_1m/dt=2026-11-21/hr=05/v=000000/part-0000.parquet";

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_that_is_older_than_its_curation_is_curated_and_proved() {
    let bench = Bench::new().await;
    let said = bench.refused(&["verify", "--curated"], &[]).await;
    assert!(said.contains("lake.database: missing"), "{said}");
    assert!(said.contains("--database"), "{said}");
    let said = bench.expect_whole(&["verify", "--curated"]).await;
    assert!(said.contains("no hour is curated yet"), "{said}");

    let ticks = [("B", 2.5), ("A", 1.0), ("B", 3.0)];
    for (partition, format) in (0..).zip(Format::ALL) {
        bench.land(format, partition, 0, &ticks).await;
    }
    let said = bench.expect_whole(&["verify", "--curated"]).await;
    assert!(
        said.contains("not curated yet: 3 raw objects of 1 hour"),
        "{said}"
    );
    // The objects land now, so the hour is not closed.
    let (is_done, said) = bench.curate(&[]).await;
    assert!(
        is_done && said.contains("1 hour: 0 curated, 1 not closed yet"),
        "{said}"
    );
    let (is_done, said) = bench.curate(&["--through", "2026-12-01"]).await;
    assert!(is_done && said.contains("1 hour: 1 curated"), "{said}");
    assert!(
        said.contains("dt=2026-11-21/hr=05   curated, 1 unit"),
        "{said}"
    );
    let said = bench.expect_whole(&["verify", "--curated"]).await;
    insta::assert_snapshot!("verify_of_a_curated_hour", said);

    // A late tick makes the next version.
    bench.land(Format::Parquet, 0, 3, &[("A", 7.0)]).await;
    let said = bench.expect_whole(&["verify", "--curated"]).await;
    assert!(
        said.contains("not curated yet: 1 raw object of 1 hour"),
        "{said}"
    );
    let (is_done, said) = bench.curate(&["--through", "2026-12-01"]).await;
    assert!(is_done, "{said}");
    let said = bench.expect_whole(&["verify", "--curated", "--json"]).await;
    let report: Value = serde_json::from_str(&said).expect("JSON");
    let hour = &report["hours"][0];
    assert_eq!(
        (&hour["ticks_version"], &hour["ticks"], &hour["raw_objects"]),
        (&1.into(), &10.into(), &4.into()),
        "{report:#}"
    );
    let (_, said) = bench.curate(&[]).await;
    assert!(said.contains("was curated before"), "{said}");

    // Both versions are announced again, and no other register.
    let said = bench.expect_whole(&["reconcile", "--since", "1h"]).await;
    assert!(
        said.contains("4 events sent to start-crawler (")
            && said.contains("6 events sent to notify ("),
        "{said}"
    );

    // Of the hour's raw objects some expire. The others are compared.
    let raw = bench.keys("ticks/").await;
    bench.delete(&raw[0]).await;
    let said = bench.expect_whole(&["verify", "--curated"]).await;
    assert!(
        said.contains("not compared: 3 ticks, of raw objects that do not exist any more"),
        "{said}"
    );
    // Another period has nothing to prove.
    let period = ["verify", "--curated", "--from", "2026-11-22"];
    let said = bench.expect_whole(&period).await;
    assert!(said.contains("no hour is curated yet"), "{said}");
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_that_is_made_by_hand_is_found() {
    let bench = Bench::new().await;
    let ticks = [("B", 2.5), ("A", 1.0), ("B", 3.0)];
    bench.land(Format::Parquet, 0, 0, &ticks).await;
    bench.land(Format::Json, 1, 0, &ticks).await;
    let (is_done, said) = bench.curate(&["--through", "2026-12-01"]).await;
    assert!(is_done, "{said}");

    // The parts of another lake take the place of this one's.
    let raw = bench
        .land_other(0, &[("B", 2.5), ("A", 1.000_000_000_000_000_2), ("B", 3.0)])
        .await;
    bench.land_other(1, &ticks).await;
    bench.curate_other().await;
    let other = bench.body(OTHER, PART).await;
    let found = bench.with_body(PART, other).await;
    let wanted =
        format!("fault: {PART}: the row of partition 0, offset 1 has other values than in {raw}");
    assert!(found.contains(&wanted), "{found}");
    assert!(found.contains("NOT WHOLE"), "{found}");
    let other = bench.body(OTHER, BARS).await;
    let found = bench.with_body(BARS, other).await;
    let wanted = "the bar of \"A\" at 05:00: high is 1.0000000000000002, a recount gives 1.0";
    assert!(
        found.contains(&format!("fault: {BARS}: {wanted}")),
        "{found}"
    );

    // A raw object is not sorted, and has no row of the other one.
    let body = bench.body(BUCKET, &bench.keys("ticks/").await[0]).await;
    let found = bench.with_body(PART, body).await;
    assert!(
        found.contains(&format!(
            "fault: {PART}: the row of partition 0, offset 1 is before"
        )),
        "{found}"
    );
    assert!(
        found.contains("no part has the row of partition 1, offset 0"),
        "{found}"
    );

    let found = bench.with_body(PART, b"<html>".to_vec()).await;
    assert!(
        found.contains(&format!("fault: {PART}: it cannot be read as Parquet")),
        "{found}"
    );

    let stranger = PART.replace("part-0000", "copy");
    bench.put(&stranger, b"PAR1".to_vec()).await;
    let found = bench.expect_faults(&["verify", "--curated"]).await;
    assert!(
        found.contains(&format!("fault: {stranger}: another program wrote it")),
        "{found}"
    );
    bench.delete(&stranger).await;

    let body = bench.body(BUCKET, BARS).await;
    bench.delete(BARS).await;
    let found = bench.expect_faults(&["verify", "--curated"]).await;
    let wanted = format!("{BARS}: it is missing, and version 0 is committed");
    assert!(found.contains(&wanted), "{found}");
    let said = bench.expect_whole(&["reconcile", "--since", "1h"]).await;
    assert!(
        said.contains(&format!("fault in the curated hours: {wanted}")),
        "{said}"
    );
    // Without the metadata that names its plan.
    bench.put(BARS, body).await;
    let found = bench.expect_faults(&["verify", "--curated"]).await;
    assert!(
        found.contains(&format!("{BARS}: it was made by another plan")),
        "{found}"
    );
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pointer_at_an_abandoned_version_and_a_row_in_two_parts_are_found() {
    let bench = Bench::new().await;
    let ticks = [("A", 1.0), ("B", 2.0), ("C", 3.0), ("D", 4.0)];
    bench.land(Format::Parquet, 0, 0, &ticks).await;
    // The first attempt is given up, the second one is cut into four.
    let (is_done, said) = bench
        .curate(&["--through", "2026-12-01", "--max-unit-rows", "3"])
        .await;
    assert!(is_done, "{said}");
    let report = bench.expect_whole(&["verify", "--curated", "--json"]).await;
    let report: Value = serde_json::from_str(&report).expect("JSON");
    let version = report["hours"][0]["ticks_version"]
        .as_u64()
        .expect("a version");
    assert!(
        version > 0 && report["hours"][0]["files"] == 8,
        "{report:#}"
    );

    let parts = bench
        .keys(&format!("curated/ticks/{HOUR}/v={version:06}/"))
        .await;
    // Each symbol is in a part of its own.
    let body = bench.body(BUCKET, &parts[0]).await;
    let found = bench.with_body(&parts[1], body).await;
    let twice = format!("is there twice, in {} and {}", parts[0], parts[1]);
    assert!(found.contains(&twice), "{found}");
    assert!(
        found.contains("no part has the row of partition 0, offset 1"),
        "{found}"
    );

    bench.point(Table::Ticks, 0).await;
    let found = bench.expect_faults(&["verify", "--curated"]).await;
    let wanted = "the catalog names version 0 in curated_ticks, which was abandoned";
    assert!(found.contains(wanted), "{found}");
    bench.point(Table::Ticks, 9).await;
    let found = bench.expect_faults(&["verify", "--curated"]).await;
    assert!(
        found.contains("version 9 in curated_ticks, which has no plan"),
        "{found}"
    );

    let plan = format!("_curated/{HOUR}/000000.plan.json");
    bench.put(&plan, b"{}".to_vec()).await;
    let said = bench.expect_whole(&["reconcile", "--since", "1h"]).await;
    assert!(
        said.contains(&format!("register {plan}: not as ticklake writes it")),
        "{said}"
    );
    bench.end().await;
}

/// With `--force` a look planned the hour again as long as it was abandoned.
#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_hour_gets_one_more_version_by_force() {
    let bench = Bench::new().await;
    let ticks = [("A", 1.0), ("B", 2.0)];
    bench.land(Format::Parquet, 0, 0, &ticks).await;
    let raw = bench.keys("ticks/").await.remove(0);
    bench.put(&raw, b"<html>".to_vec()).await;
    let (is_done, said) = bench.curate(&["--through", "2026-12-01"]).await;
    let wanted = "stuck at version 2, unreadable: docs/runbook.md#an-hour-is-stuck";
    assert!(!is_done && said.contains(wanted), "{said}");
    assert!(said.contains("1 hour: 0 curated, 1 stuck"), "{said}");
    let force = ["--through", "2026-12-01", "--force"];
    let (is_done, said) = bench.curate(&force).await;
    assert!(!is_done && said.contains("stuck at version 3"), "{said}");
    bench.land(Format::Parquet, 0, 0, &ticks).await;
    let (is_done, said) = bench.curate(&force).await;
    assert!(is_done && said.contains("1 hour: 1 curated"), "{said}");
    let said = bench.expect_whole(&["verify", "--curated"]).await;
    assert!(said.contains("whole: 2 ticks of 1 curated hour"), "{said}");
    bench.end().await;
}

//! Runs the function as Lambda does: objects that are gone, and its metrics.

#![allow(
    clippy::expect_used,
    unreachable_pub,
    reason = "a test says what it expected"
)]

use std::time::Duration;

use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use bench::{BUCKET, Bench, batch, deferred, scripted_glue, start};
use local::{Aws, Processes, wait_until};
use serde_json::{Value, json};
use tokio::net::TcpListener;

mod bench;

const NO_MESSAGES: [&str; 0] = [];

/// A deleted object cost a crawl every five minutes for twelve hours.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_gone_asks_for_no_second_crawl() {
    let bench = Bench::new().await;
    let s3 = aws_sdk_s3::Client::new(bench.ministack.aws.config());
    let gone = "ticks/dt=2026-11-21/hr=05/a";
    // This key begins with the other one.
    let present = "ticks/dt=2026-11-21/hr=05/a.parquet";
    s3.put_object()
        .bucket(BUCKET)
        .key(present)
        .body(b"one".to_vec().into())
        .send()
        .await
        .expect("PutObject");
    let mut function = bench.start(&[]).await;
    bench
        .expect_deferred(&mut function, &batch(2, &[(gone, None)]), &NO_MESSAGES)
        .await;
    assert!(
        !bench.is_crawling().await,
        "a crawl has started for an object that is gone: {}",
        bench.log()
    );
    let both = batch(2, &[(gone, None), (present, None)]);
    bench.expect_deferred(&mut function, &both, &["1"]).await;
    assert!(
        bench.is_crawling().await,
        "no crawl has started for an object that is present: {}",
        bench.log()
    );
    // Like a crawl of a foreign file, that crawl covers nothing. The object that it has
    // passed over asks for no other crawl.
    wait_until("the crawl's end", Duration::from_secs(30), async || {
        Ok(!bench.is_crawling().await)
    })
    .await
    .expect("an end");
    bench.expect_deferred(&mut function, &both, &["1"]).await;
    assert!(
        !bench.is_crawling().await,
        "a second crawl has started for an object that the first has passed over: {}",
        bench.log()
    );
    function.stop().await.expect("a stop");
    bench.processes.stop_all().await;
}

/// The crawler does not see the versions below a delete marker.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_below_a_delete_marker_is_gone() {
    let bench = Bench::new().await;
    let s3 = aws_sdk_s3::Client::new(bench.ministack.aws.config());
    let versioning = VersioningConfiguration::builder()
        .status(BucketVersioningStatus::Enabled)
        .build();
    s3.put_bucket_versioning()
        .bucket(BUCKET)
        .versioning_configuration(versioning)
        .send()
        .await
        .expect("PutBucketVersioning");
    let key = "ticks/dt=2026-11-21/hr=05/a.parquet";
    let put = s3
        .put_object()
        .bucket(BUCKET)
        .key(key)
        .body(b"one".to_vec().into())
        .send()
        .await
        .expect("PutObject");
    s3.delete_object()
        .bucket(BUCKET)
        .key(key)
        .send()
        .await
        .expect("DeleteObject");
    let version = put.version_id().expect("a version");
    s3.head_object()
        .bucket(BUCKET)
        .key(key)
        .version_id(version)
        .send()
        .await
        .expect("the version is there");
    let mut function = bench.start(&[]).await;
    let objects = batch(2, &[(key, Some(version))]);
    bench
        .expect_deferred(&mut function, &objects, &NO_MESSAGES)
        .await;
    function.stop().await.expect("a stop");
    bench.processes.stop_all().await;
}

/// Objects count as present if S3 takes the call and never answers. There are more
/// objects than calls at a time, but the crawl still starts before the deadline.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_counts_as_present_if_s3_does_not_answer() {
    let bench = Bench::new().await;
    let silent = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let url = format!("http://{}", silent.local_addr().expect("an address"));
    let gone: Vec<String> = (0..400)
        .map(|number| format!("ticks/dt=2026-11-21/hr=05/{number}.parquet"))
        .collect();
    let gone: Vec<(&str, Option<&str>)> = gone.iter().map(|key| (key.as_str(), None)).collect();
    let mut function = bench.start(&[("AWS_ENDPOINT_URL_S3", &url)]).await;
    assert_eq!(
        deferred(&mut function, &batch(2, &gone)).await.len(),
        400,
        "{}",
        bench.log()
    );
    assert!(
        bench.is_crawling().await,
        "no crawl has started: {}",
        bench.log()
    );
    assert!(
        bench
            .log()
            .contains("cannot look for objects; they count as present"),
        "{}",
        bench.log()
    );
    function.stop().await.expect("a stop");
    bench.processes.stop_all().await;
}

/// Nearly every object is present when its message comes for the first time, so S3 is not
/// asked.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_not_looked_for_when_its_message_comes_for_the_first_time() {
    let bench = Bench::new().await;
    let mut function = bench.start(&[]).await;
    let objects = batch(1, &[("ticks/dt=2026-11-21/hr=05/a.parquet", None)]);
    bench.expect_deferred(&mut function, &objects, &["0"]).await;
    assert!(
        bench.is_crawling().await,
        "no crawl has started: {}",
        bench.log()
    );
    function.stop().await.expect("a stop");
    bench.processes.stop_all().await;
}

/// Each invocation of a warm environment wrote the gauge again, and the alarm never
/// ended.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_crawl_is_a_metric_only_of_the_invocation_that_asked_for_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let processes = Processes::default();
    let log = folder.path().join("function.log");
    let crawler = json!({"Crawler": {
        "Name": "ticks",
        "State": "READY",
        "LastCrawl": {"Status": "FAILED", "ErrorMessage": "no access"},
    }});
    let aws = Aws::at(&scripted_glue(vec![("GetCrawler", crawler)]).await).await;
    let mut function = start(&processes, &aws, &[], &log).await;
    assert_eq!(
        deferred(
            &mut function,
            &batch(1, &[("ticks/dt=2026-11-21/hr=05/a.parquet", None)])
        )
        .await,
        ["0"]
    );
    // Outside the lake's folders, so there is no question for Glue.
    assert_eq!(
        deferred(&mut function, &batch(1, &[("ticks/a.parquet", None)])).await,
        NO_MESSAGES
    );
    function.stop().await.expect("a stop");
    let output = std::fs::read_to_string(&log).expect("a log");
    let lines = output
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let metrics: Vec<Value> = lines.filter(|line| line["Objects"] == 1).collect();
    assert_eq!(
        (metrics.len(), &metrics[0]["LastCrawlFailed"]),
        (2, &json!([1.0])),
        "{output}"
    );
    assert_eq!(metrics[1].get("LastCrawlFailed"), None, "{output}");
}

/// ministack's `UnprocessedKeys` are only the partitions that it does not have.
#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_glue_did_not_process_are_asked_for_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let processes = Processes::default();
    let log = folder.path().join("function.log");
    let hour = |hr: &str| json!({"Values": ["2026-11-21", hr]});
    let answers = vec![
        (
            "GetCrawler",
            json!({"Crawler": {"Name": "ticks", "State": "READY"}}),
        ),
        (
            "BatchGetPartition",
            json!({"Partitions": [hour("05")], "UnprocessedKeys": [hour("06"), hour("07")]}),
        ),
        (
            "BatchGetPartition",
            json!({"Partitions": [hour("06")], "UnprocessedKeys": [hour("07")]}),
        ),
        (
            "BatchGetPartition",
            json!({"Partitions": [], "UnprocessedKeys": [hour("07")]}),
        ),
        ("StartCrawler", json!({})),
    ];
    let aws = Aws::at(&scripted_glue(answers).await).await;
    let mut function = start(&processes, &aws, &[], &log).await;
    let objects = ["05", "06", "07"].map(|hr| format!("ticks/dt=2026-11-21/hr={hr}/a.parquet"));
    let objects: Vec<(&str, Option<&str>)> =
        objects.iter().map(|key| (key.as_str(), None)).collect();
    let deferred = deferred(&mut function, &batch(1, &objects)).await;
    function.stop().await.expect("a stop");
    let output = std::fs::read_to_string(&log).expect("a log");
    assert_eq!(deferred, ["2"], "{output}");
    assert!(output.contains(r#""crawl":"Started""#), "{output}");
}

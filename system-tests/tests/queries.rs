//! The queries of `sql/` across midnight: the typed table and the inferred one, in every
//! format.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use curated_files::BAR_COLUMNS;
use jiff::civil::DateTime;
use lake::{Batch, COLUMNS, Column, ColumnType, Format, LakePartition, Record, Routing, Rules};
use local::arrivals::{all_curated, partitions};
use local::{LakeContents, Parameters, Rows, Stack, at, sample, statements};
use serde_json::{Value, json};
use system_tests::Workspace;
use tokio::time::sleep;

/// The moment that the queries are asked at: twenty past midnight.
const NOW: &str = "2026-01-02 00:20:00";
const MIDNIGHT: &str = "2026-01-02T00:00:00Z";

/// Kafka record timestamp, symbol, event time, price, volume.
type Tick = (
    Option<&'static str>,
    &'static str,
    &'static str,
    f64,
    Option<f64>,
);

const TICKS: [Tick; 9] = [
    (
        Some("2025-12-31T12:00:00Z"),
        "A",
        "2025-12-31T12:00:00Z",
        1.0,
        Some(9999.0),
    ),
    (
        Some("2026-01-01T23:10:00Z"),
        "A",
        "2026-01-01T23:10:00Z",
        10.0,
        Some(100.0),
    ),
    (
        Some("2026-01-01T23:30:00Z"),
        "A",
        "2026-01-01T23:30:00Z",
        20.0,
        Some(200.0),
    ),
    (
        Some("2026-01-02T00:05:00Z"),
        "A",
        "2026-01-02T00:05:00Z",
        40.0,
        Some(300.0),
    ),
    (
        Some("2026-01-02T00:12:00Z"),
        "A",
        "2026-01-02T00:12:00Z",
        60.0,
        Some(10.0),
    ),
    (
        Some("2026-01-02T00:15:00Z"),
        "B",
        "2026-01-02T00:15:00Z",
        5.0,
        Some(1000.0),
    ),
    // Later than the question.
    (
        Some("2026-01-02T00:30:00Z"),
        "B",
        "2026-01-02T00:30:00Z",
        500.0,
        Some(5000.0),
    ),
    // Without a Kafka timestamp: in dt=unknown, found all the same.
    (None, "C", "2026-01-02T00:11:00Z", 7.0, None),
    // In a partition that only the daily trend looks at: proof that dt and hr prune.
    (
        Some("2025-12-28T00:00:00Z"),
        "D",
        "2026-01-02T00:16:00Z",
        3.0,
        Some(7.0),
    ),
];

/// Each query's answer, computed by hand from the rows above.
const ANSWERS: [(&str, &[&[&str]]); 9] = [
    (
        "all_ticks.sql",
        &[
            &["A", "4", "2", "2026-01-01 23:10:00", "2026-01-02 00:12:00"],
            &["B", "1", "0", "2026-01-02 00:15:00", "2026-01-02 00:15:00"],
            &["C", "1", "0", "2026-01-02 00:11:00", "2026-01-02 00:11:00"],
        ],
    ),
    (
        "average_price.sql",
        &[&["A", "40", "3"], &["B", "5", "1"], &["C", "7", "1"]],
    ),
    (
        "bars_1d.sql",
        &[
            &["2026-01-02", "D", "3", "3", "3", "3", "7", "21", "3", "1"],
            &[
                "2026-01-01",
                "A",
                "10",
                "20",
                "10",
                "20",
                "300",
                "5000",
                "16.666666666666668",
                "2",
            ],
            &[
                "2025-12-31",
                "A",
                "1",
                "1",
                "1",
                "1",
                "9999",
                "9999",
                "1",
                "1",
            ],
        ],
    ),
    (
        "bars_1h.sql",
        &[&[
            "2026-01-01 23:00:00",
            "A",
            "10",
            "20",
            "10",
            "20",
            "300",
            "5000",
            "16.666666666666668",
            "2",
        ]],
    ),
    (
        "candles.sql",
        &[
            &[
                "2026-01-01 23:10:00",
                "A",
                "10",
                "10",
                "10",
                "10",
                "100",
                "10",
                "1",
            ],
            &[
                "2026-01-01 23:30:00",
                "A",
                "20",
                "20",
                "20",
                "20",
                "200",
                "20",
                "1",
            ],
        ],
    ),
    (
        "daily_trend.sql",
        &[
            &["2026-01-02", "A", "40", "60", "40", "60", "20"],
            &["2026-01-02", "B", "5", "5", "5", "5", "0"],
            &["2026-01-02", "C", "7", "7", "7", "7", "0"],
            &["2026-01-02", "D", "3", "3", "3", "3", "0"],
            &["2026-01-01", "A", "10", "20", "10", "20", "10"],
            &["2025-12-31", "A", "1", "1", "1", "1", "0"],
        ],
    ),
    (
        "most_traded.sql",
        &[&["B", "1000", "5000", "1"], &["A", "610", "17600", "4"]],
    ),
    (
        "overview.sql",
        &[
            &[
                "A",
                "5",
                "26.2",
                "2025-12-31 12:00:00",
                "2026-01-02 00:12:00",
            ],
            &[
                "B",
                "2",
                "252.5",
                "2026-01-02 00:15:00",
                "2026-01-02 00:30:00",
            ],
            &["C", "1", "7", "2026-01-02 00:11:00", "2026-01-02 00:11:00"],
            &["D", "1", "3", "2026-01-02 00:16:00", "2026-01-02 00:16:00"],
        ],
    ),
    ("total_traded.sql", &[&["3", "1010", "5600"]]),
];

/// A lake format and how the crawler works on it.
#[derive(Debug, Clone, Copy)]
struct Case {
    format: Format,
    crawler_mode: &'static str,
}

impl Case {
    /// In text a crawler sees no times, no short integers, and nothing of columns without
    /// values.
    fn has_types(&self) -> bool {
        self.crawler_mode == "typed" || self.format == Format::Parquet
    }

    fn wanted_columns(&self) -> BTreeSet<(String, String)> {
        let kind = |column: &Column| match (self.has_types(), column.kind, column.name) {
            (true, kind, _) => kind.glue(),
            (false, _, "open" | "high" | "low" | "close") | (false, ColumnType::Timestamp, _) => {
                "string"
            }
            (false, ColumnType::Int, _) => "bigint",
            (false, kind, _) => kind.glue(),
        };
        COLUMNS
            .iter()
            .map(|column| (column.name.to_owned(), kind(column).to_owned()))
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn typed_parquet() -> Result<()> {
    check("typed", Format::Parquet).await
}

#[tokio::test(flavor = "multi_thread")]
async fn typed_json() -> Result<()> {
    check("typed", Format::Json).await
}

#[tokio::test(flavor = "multi_thread")]
async fn typed_csv() -> Result<()> {
    check("typed", Format::Csv).await
}

#[tokio::test(flavor = "multi_thread")]
async fn inferred_parquet() -> Result<()> {
    check("inferred", Format::Parquet).await
}

#[tokio::test(flavor = "multi_thread")]
async fn inferred_json() -> Result<()> {
    check("inferred", Format::Json).await
}

#[tokio::test(flavor = "multi_thread")]
async fn inferred_csv() -> Result<()> {
    check("inferred", Format::Csv).await
}

async fn check(crawler_mode: &'static str, format: Format) -> Result<()> {
    let case = Case {
        format,
        crawler_mode,
    };
    let name = format!("queries-{crawler_mode}-{}", format.name());
    Workspace::run(&name, async |work| ask_every_query(case, work).await).await
}

/// Puts rows around midnight into the lake of a fresh stack, lets its functions and
/// crawler do their work, and asks every query of `sql/`.
async fn ask_every_query(case: Case, work: &Workspace) -> Result<()> {
    let parameters = Parameters {
        format: case.format,
        crawler_mode: case.crawler_mode.into(),
        subscriber: String::new(),
        ..sample::parameters()
    };
    let stack = work.deploy(work.ministack().await?, parameters).await?;
    let (aws, deployment) = (&stack.ministack.aws, &stack.deployment);
    let partitions = put_ticks(case.format, &stack).await?;
    wait_for_partitions(&stack, partitions).await?;
    expect_columns(
        &stack,
        deployment.output("TableName")?,
        case.wanted_columns(),
    )
    .await?;
    let curated = "curated_ticks";
    expect_columns(&stack, curated, glue_columns(&COLUMNS)).await?;
    expect_columns(&stack, "bars_1m", glue_columns(&BAR_COLUMNS)).await?;
    if !case.has_types() {
        // Times are text there, and the queries of sql/ want times.
        return Ok(());
    }
    // The hours of the day before: two are not curated, and are asked for as raw ticks.
    let plan = json!({"from": "2025-12-28", "to": MIDNIGHT, "through": MIDNIGHT});
    all_curated(aws, deployment, plan).await?;
    let (work_group, database) = (
        deployment.output("WorkGroupName")?,
        deployment.output("DatabaseName")?,
    );
    let now: DateTime = NOW.parse()?;
    let statements = statements(&work.repository)?;
    ensure!(
        statements.len() == ANSWERS.len(),
        "{} queries in sql/, but {} answers here",
        statements.len(),
        ANSWERS.len()
    );
    let mut faults = Vec::new();
    for (file, wanted) in ANSWERS {
        let sql = statements
            .get(file)
            .with_context(|| format!("no sql/{file}"))?;
        let got = Rows::query(aws, work_group, database, &at(sql, now))
            .await
            .with_context(|| format!("sql/{file}"))?;
        let got: Vec<Vec<String>> = got
            .rows
            .iter()
            .map(|row| row.iter().map(|value| plain(value)).collect())
            .collect();
        if got != wanted {
            faults.push(format!("sql/{file}: wanted {wanted:?}, got {got:?}"));
        }
    }
    if faults.is_empty() {
        Ok(())
    } else {
        bail!("{}", faults.join("\n"))
    }
}

/// A number without a fraction of nothing: engines write 40.0 or 40.
fn plain(value: &str) -> String {
    value.strip_suffix(".0").unwrap_or(value).to_owned()
}

async fn put_ticks(format: Format, stack: &Stack) -> Result<usize> {
    let mut batch = Batch::new(
        "ticks",
        0,
        0,
        Rules {
            routing: Routing::default(),
            max_record_bytes: 1 << 20,
            skip_tombstones: false,
        },
    );
    for (offset, (timestamp, symbol, event_time, price, volume)) in (0..).zip(TICKS) {
        let timestamp_ms = timestamp
            .map(|text| text.parse::<jiff::Timestamp>())
            .transpose()?
            .map(|time| time.as_millisecond());
        let tick = serde_json::json!({
            "symbol": symbol,
            "event_time": event_time,
            "price": price,
            "volume": volume,
            "note": "a, \"b\"\tc",
            "n": [1, 2],
        });
        let value = tick.to_string();
        let letter = batch.push(
            &Record {
                offset,
                timestamp_ms,
                value: Some(value.as_bytes()),
                ..Record::default()
            },
            Instant::now(),
        );
        ensure!(letter.is_none(), "{letter:?}");
    }
    let s3 = aws_sdk_s3::Client::new(stack.ministack.aws.config());
    let (_, objects) = batch.seal(format, "topic-id", "attempt")?;
    for object in &objects {
        let put = s3
            .put_object()
            .bucket(stack.deployment.output("LakeBucket")?)
            .key(object.key.to_string());
        put.set_metadata(Some(object.metadata.to_map()))
            .body(object.body.clone().into())
            .send()
            .await
            .context("PutObject")?;
    }
    Ok(objects.len())
}

/// Waits for the work of the functions and the crawler on the objects' events.
async fn wait_for_partitions(stack: &Stack, wanted: usize) -> Result<()> {
    let mut lake = LakeContents::default();
    lake.refresh(&stack.ministack.aws, stack.deployment.output("LakeBucket")?)
        .await?;
    ensure!(
        lake.objects
            .keys()
            .filter_map(|key| LakePartition::of_key(key))
            .count()
            == wanted,
        "not {wanted} partitions: {:?}",
        lake.objects.keys()
    );
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let known = partitions(&stack.ministack.aws, &stack.deployment)
            .await
            .unwrap_or_default()
            .len();
        if known == wanted {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "{known} of {wanted} partitions in the catalog after 60 s, {} crawls",
            stack.crawls.crawls()
        );
        sleep(Duration::from_millis(200)).await;
    }
}

/// Returns names and types of columns as Glue has them.
fn glue_columns(columns: &[Column]) -> BTreeSet<(String, String)> {
    columns
        .iter()
        .map(|column| (column.name.to_owned(), column.kind.glue().to_owned()))
        .collect()
}

/// Compares the columns in the catalog with those that the encodings write.
async fn expect_columns(
    stack: &Stack,
    table: &str,
    wanted: BTreeSet<(String, String)>,
) -> Result<()> {
    let asked = json!({
        "DatabaseName": stack.deployment.output("DatabaseName")?,
        "Name": table,
    });
    let answer = stack
        .ministack
        .aws
        .call("glue", "get_table", &asked)
        .await?;
    let columns = answer["Table"]["StorageDescriptor"]["Columns"].as_array();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let got: BTreeSet<(String, String)> = columns
        .into_iter()
        .flatten()
        .map(|column| (text(&column["Name"]), text(&column["Type"])))
        .collect();
    ensure!(
        got == wanted,
        "the columns of {table} are {got:?}, wanted {wanted:?}"
    );
    Ok(())
}

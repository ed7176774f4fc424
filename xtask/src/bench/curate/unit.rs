//! One unit with as many rows as it may have, by the function itself.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use lake::{Kind, LakePartition, ObjectKey};
use local::{
    Aws, Conditions, CuratedLake, FaultProxy, FunctionProcess, Ministack, Workspace, sample,
};
use serde_json::json;
use wording::grouped;

use super::folder::raw_objects;
use crate::bench::measured::Used;

const BUCKET: &str = "curated-lake";
/// The function's limit of rows in a unit.
const MAX_ROWS: i64 = 8_000_000;

/// A unit that was made.
pub(super) struct Unit {
    pub(super) used: Used,
    ticks: u64,
    objects: u64,
    /// S3 requests beside the raw objects' GETs: those that cost like a PUT, and the other
    /// GETs and HEADs.
    pub(super) puts: u64,
    pub(super) gets: u64,
}

/// Lands as many of a folder's raw objects as a unit may have rows, and lets the function
/// make one unit of them.
pub(super) async fn measure(workspace: &Workspace, folder: &Path) -> Result<Unit> {
    let ministack = Ministack::start(workspace).await?;
    let aws = &ministack.aws;
    aws.create_bucket(BUCKET).await?;
    let lake = CuratedLake::create(aws, BUCKET).await?;
    let keys = land(aws, folder).await?;
    let hour = hour(&keys)?;
    plan(aws, hour, &keys).await?;
    let proxy = FaultProxy::start(aws.endpoint(), 0, Conditions::Kept).await?;
    let mut function = FunctionProcess::start(
        &workspace.processes,
        &sample::bootstrap(&workspace.repository, "curate"),
        &lake.environment(aws, &proxy.url()),
        &workspace.log("unit"),
    )
    .await?;
    let task = json!({"hour": hour.to_string(), "version": 0, "unit": 0}).to_string();
    let answer = function.invoke(&CuratedLake::batch(&task, 1)).await?;
    let answer = answer.map_err(anyhow::Error::msg)?;
    let failed = sample::failed(&answer)?;
    ensure!(failed.is_empty(), "curate answered {answer}");
    let used = Used::by(function.process()).context("the function has ended")?;
    function.stop().await?;
    let objects = keys.len() as u64;
    let rows = keys.iter().map(|key| key.last() - key.first() + 1);
    let of = |kind| proxy.calls(kind);
    Ok(Unit {
        used,
        ticks: u64::try_from(rows.sum::<i64>())?,
        objects,
        puts: of("PUT") + of("LIST"),
        gets: (of("GET") + of("HEAD")).saturating_sub(objects),
    })
}

/// Puts raw objects into the lake.
async fn land(aws: &Aws, folder: &Path) -> Result<Vec<ObjectKey>> {
    let s3 = aws_sdk_s3::Client::new(aws.config());
    let (mut keys, mut rows) = (Vec::new(), 0);
    for path in raw_objects(folder)? {
        let text = path.strip_prefix(folder)?.display().to_string();
        let key = ObjectKey::parse(&text)?;
        rows += key.last() - key.first() + 1;
        if rows > MAX_ROWS {
            break;
        }
        let body = std::fs::read(&path)?;
        let put = s3.put_object().bucket(BUCKET).key(&text);
        put.body(body.into()).send().await?;
        keys.push(key);
    }
    Ok(keys)
}

fn hour(keys: &[ObjectKey]) -> Result<LakePartition> {
    let key = keys.first().context("no raw object fits into a unit")?;
    LakePartition::of_key(&key.to_string()).context("no hour")
}

/// Creates a plan of one unit: a planner would make more of them.
async fn plan(aws: &Aws, hour: LakePartition, keys: &[ObjectKey]) -> Result<()> {
    let group = |key: &ObjectKey| {
        let Kind::Data(format) = key.kind() else {
            return None;
        };
        Some(json!({
            "topic": key.topic(),
            "partition": key.partition(),
            "format": format.name(),
            "ranges": [[key.first(), key.last()]],
        }))
    };
    let plan = json!({
        "form": 1,
        "writer": "cargo xtask bench",
        "hour": hour.to_string(),
        "version": 0,
        "content": {
            "base": null,
            "units": 1,
            "inputs": keys.iter().filter_map(group).collect::<Vec<_>>(),
        },
    });
    let s3 = aws_sdk_s3::Client::new(aws.config());
    let put = s3.put_object().bucket(BUCKET);
    let put = put.key(format!("_curated/{hour}/000000.plan.json"));
    put.body(plan.to_string().into_bytes().into())
        .send()
        .await?;
    Ok(())
}

impl Unit {
    pub(super) fn describe(&self, memory: u64) -> String {
        format!(
            "{} ticks of {} objects: {:.0} MiB of {memory}, {:.2} cpu-s per million; \
             {} PUTs and LISTs, {} other GETs",
            grouped(self.ticks),
            self.objects,
            self.used.peak_mebibytes,
            self.used.cpu_seconds / self.ticks as f64 * 1e6,
            self.puts,
            self.gets
        )
    }
}

//! Reads from the manifests which records the lake registers as lost, without any of
//! ticklake's own code.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use anyhow::{Context as _, Result};
use local::Aws;
use serde_json::Value;

/// Partitions and runs of their offsets.
pub(crate) struct Registered(Vec<(i32, RangeInclusive<i64>)>);

impl Registered {
    pub(crate) fn contains(&self, partition: i32, offset: i64) -> bool {
        self.0
            .iter()
            .any(|(of, run)| *of == partition && run.contains(&offset))
    }
}

/// Returns the offsets that the manifests of a topic register as lost to retention: gaps,
/// and the offsets of an object that are below its `lost-below`.
pub(crate) async fn registered(
    aws: &Aws,
    bucket: &str,
    topic: &str,
    lost_below: &BTreeMap<String, i64>,
) -> Result<Registered> {
    let s3 = aws_sdk_s3::Client::new(aws.config());
    let mut found = Vec::new();
    let mut pages = s3
        .list_objects_v2()
        .bucket(bucket)
        .prefix(format!("_manifests/{topic}/"))
        .into_paginator()
        .send();
    while let Some(page) = pages.next().await {
        for object in page?.contents() {
            let key = object.key().context("a manifest without a key")?;
            let body = s3
                .get_object()
                .bucket(bucket)
                .key(key)
                .send()
                .await?
                .body
                .collect()
                .await?
                .into_bytes();
            let manifest: Value = serde_json::from_slice(&body).with_context(|| key.to_owned())?;
            found
                .extend(lost(&manifest, lost_below).with_context(|| format!("{key}: {manifest}"))?);
        }
    }
    Ok(Registered(found))
}

fn lost(
    manifest: &Value,
    lost_below: &BTreeMap<String, i64>,
) -> Option<Vec<(i32, RangeInclusive<i64>)>> {
    let partition = i32::try_from(manifest["partition"].as_i64()?).ok()?;
    let first = manifest["first"].as_i64()?;
    let last = manifest["last"].as_i64()?;
    if matches!(
        manifest["gap"].as_str(),
        Some("before-log-start" | "lost-to-retention")
    ) {
        return Some(vec![(partition, first..=last)]);
    }
    let mut lost = Vec::new();
    for object in manifest["objects"].as_array().into_iter().flatten() {
        let Some(below) = lost_below.get(object["key"].as_str()?) else {
            continue;
        };
        // `0-4,7`, counted from the manifest's first offset.
        for run in object["offsets"].as_str()?.split(',') {
            let (from, to) = run.split_once('-').unwrap_or((run, run));
            let from = first + from.parse::<i64>().ok()?;
            let to = first + to.parse::<i64>().ok()?;
            lost.push((partition, from..=to.min(below - 1)));
        }
    }
    Some(lost)
}

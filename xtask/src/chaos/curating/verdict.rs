use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::{Context as _, Result, bail};
use aws_sdk_s3::Client;
use local::{Aws, CuratedLake, Fault, LakeCopy, Workspace, list_objects};
use serde_json::Value;

use crate::chaos::records::AcknowledgedTick;

/// The curated hours of a run.
pub(crate) struct Curated {
    /// DuckDB's count of ticks and bars.
    pub(super) counts: String,
    pub(crate) versions: Versions,
    /// Number of times that an hour was stuck until a plan was forced.
    pub(super) forced: u64,
    /// Processes of the function that were killed.
    pub(crate) killed: u64,
    /// Messages that were delivered.
    pub(super) delivered: u64,
    pub(crate) faults: BTreeMap<Fault, u64>,
}

impl Curated {
    /// Returns a line about the hours and their troubles.
    pub(crate) fn describe(&self) -> String {
        let Self {
            counts,
            versions:
                Versions {
                    hours,
                    committed,
                    abandoned,
                },
            forced,
            killed,
            delivered,
            faults,
        } = self;
        let faults: u64 = faults.values().sum();
        format!(
            "curated: {counts} in {hours} hours, {committed} versions, {abandoned} abandoned, \
             {forced} forced; {delivered} messages, {killed} kills, {faults} faults"
        )
    }
}

/// The versions of all hours.
#[derive(Debug, Default)]
pub(crate) struct Versions {
    hours: u64,
    pub(crate) committed: u64,
    pub(crate) abandoned: u64,
}

impl Versions {
    /// Counts the registers of outcomes.
    pub(super) async fn read(aws: &Aws, bucket: &str) -> Result<Self> {
        let s3 = Client::new(aws.config());
        let mut versions = Self::default();
        let mut hours = BTreeSet::new();
        for (key, _) in list_objects(&s3, bucket, "_curated/").await? {
            if !key.ends_with(".outcome.json") {
                continue;
            }
            let object = s3.get_object().bucket(bucket).key(&key).send().await?;
            let body = object.body.collect().await?.into_bytes();
            let outcome: Value = serde_json::from_slice(&body).with_context(|| key.clone())?;
            match outcome["content"]["committed"].is_object() {
                true => versions.committed += 1,
                false => versions.abandoned += 1,
            }
            hours.extend(key.rsplit_once('/').map(|(hour, _)| hour.to_owned()));
        }
        versions.hours = hours.len() as u64;
        Ok(versions)
    }
}

/// Expects that each register and each curated file was created once.
pub(super) async fn nothing_is_overwritten(aws: &Aws, bucket: &str) -> Result<()> {
    let s3 = Client::new(aws.config());
    let mut seen = BTreeSet::new();
    let mut overwritten = BTreeSet::new();
    for prefix in ["_curated/", "curated/"] {
        let mut next: Option<(String, String)> = None;
        loop {
            let (key, version) = next.take().unzip();
            let list = s3.list_object_versions().bucket(bucket).prefix(prefix);
            let list = list.set_key_marker(key).set_version_id_marker(version);
            let page = list.send().await.context("ListObjectVersions")?;
            for key in page.versions().iter().filter_map(|version| version.key()) {
                if !seen.insert(key.to_owned()) {
                    overwritten.insert(key.to_owned());
                }
            }
            next = page
                .next_key_marker
                .zip(page.next_version_id_marker)
                .filter(|_| page.is_truncated == Some(true));
            if next.is_none() {
                break;
            }
        }
    }
    match overwritten.first() {
        None => Ok(()),
        Some(first) => bail!(
            "{} registers and files are overwritten, {first} is the first",
            overwritten.len()
        ),
    }
}

/// Compares what the catalog names with the raw objects and the acknowledged ticks, by
/// DuckDB. Returns its counts.
pub(super) async fn recount(
    aws: &Aws,
    workspace: &Workspace,
    bucket: &str,
    ticks: &[AcknowledgedTick],
) -> Result<String> {
    let folder = &workspace.folder.join(format!("{bucket}-copy"));
    let copy = LakeCopy { aws, folder };
    copy.raw(bucket).await?;
    for (table, _) in CuratedLake::TABLES {
        copy.table(bucket, table).await?;
    }
    let mut lines = String::new();
    for AcknowledgedTick {
        number,
        partition,
        offset,
    } in ticks
    {
        writeln!(lines, "{number},{partition},{offset}")?;
    }
    std::fs::write(folder.join("acknowledged.csv"), lines)?;
    let counts = local::recount(&workspace.tools, folder).await?;
    std::fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
    Ok(counts)
}

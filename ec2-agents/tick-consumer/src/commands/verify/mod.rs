//! Proves a lake against its manifests. Reads only, and needs no Kafka. Memory does not
//! grow with the lake: manifests and objects are read in pages, counted and forgotten.

mod curated;
mod report;
mod table;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::Args;
use curation::Period;
use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use lake::{Audit, Content, Found, Manifest, ManifestKey, ManifestObject, ObjectKey, Retention};
use wording::grouped;

use crate::config::LakeSettings;
use crate::curated_lake::CuratedLake;
use crate::lake_bucket::{Head, LakeBucket, LakeError, Listed, Stored, now};
use report::Report;

/// Manifests that are read at the same time.
const MAX_CONCURRENT_MANIFESTS: usize = 16;
/// Objects that are looked at at the same time.
const MAX_CONCURRENT_HEADS: usize = 32;
/// Objects that are read at the same time, each of which is held in memory whole.
const MAX_CONCURRENT_READS: usize = 4;
/// Manifests that are kept while objects are compared with them: neighbours in a listing
/// share them.
const MAX_KEPT_MANIFESTS: usize = 256;
/// Time between two lines on how far the walk has come.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);

/// What to prove, and how to report it.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Verify {
    /// Read every object, prove the partition and offset of each row, and count the
    /// numbers that a double does not hold
    #[arg(long, conflicts_with = "curated")]
    deep: bool,
    /// Prove the curated hours instead: each tick of the raw objects is once in the
    /// version that the catalog names, with the same values, and the bars equal a recount
    #[arg(long)]
    curated: bool,
    /// Curated hours from then on: a date, or a time such as 2026-11-21T05:00:00Z
    #[arg(long, value_name = "TIME|DATE", requires = "curated", value_parser = Period::begin)]
    from: Option<Timestamp>,
    /// Curated hours before then, or up to the end of a date
    #[arg(long, value_name = "TIME|DATE", requires = "curated", value_parser = Period::end)]
    to: Option<Timestamp>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// Proves the lake or its curated hours and prints the report. Returns whether all is
/// whole.
///
/// # Errors
/// S3 or Glue does not answer, or a manifest is of a later version.
pub(crate) async fn verify(lake: &LakeSettings, wanted: &Verify) -> Result<bool> {
    let (faults, json, table);
    if wanted.curated {
        let period = Period::new(wanted.from, wanted.to)?;
        let report = curated::prove(&CuratedLake::connect(lake).await?, period).await?;
        (faults, json, table) = (report.faults(), report.json(), report.table());
    } else {
        let report = walk(&LakeBucket::connect(lake).await?, wanted.deep).await?;
        (faults, json, table) = (report.faults(), report.json(), report.table());
    }
    match wanted.json {
        true => println!("{json:#}"),
        false => print!("{table}"),
    }
    Ok(faults == 0)
}

/// Walks every manifest of a lake, and every object; `deep` reads the objects.
///
/// # Errors
/// S3 does not answer, or a manifest is of a later version.
async fn walk(bucket: &LakeBucket, deep: bool) -> Result<Report> {
    let mut progress = Progress {
        manifests: 0,
        objects: 0,
        shown: Instant::now(),
    };
    let mut partitions = BTreeMap::new();
    let retention = bucket.retention().await?;
    for topic in bucket.folders(ManifestKey::root()).await? {
        for partition in bucket
            .folders(&format!("{}{topic}/", ManifestKey::root()))
            .await?
        {
            let number: i32 = partition.parse().with_context(|| {
                format!(
                    "{}{topic}/{partition}/ is not a partition's folder",
                    ManifestKey::root()
                )
            })?;
            let audit = audit(bucket, &topic, number, &retention, deep, &mut progress).await?;
            partitions.insert((topic.clone(), number), audit);
        }
    }
    let strangers = strangers(bucket, &mut progress).await?;
    Ok(Report {
        partitions,
        strangers,
    })
}

async fn audit(
    bucket: &LakeBucket,
    topic: &str,
    partition: i32,
    retention: &Retention,
    deep: bool,
    progress: &mut Progress,
) -> Result<Audit> {
    let mut audit = Audit::default();
    let prefix = ManifestKey::prefix(topic, partition);
    let mut manifests = bucket
        .listed(&prefix)
        .map_ok(|listed| manifest(bucket, listed))
        .try_buffered(MAX_CONCURRENT_MANIFESTS);
    while let Some((listed, manifest)) = manifests.try_next().await? {
        let Some(manifest) = manifest else {
            audit.fault(format!(
                "{} is not a manifest",
                listed.key().unwrap_or_default()
            ));
            continue;
        };
        audit.manifest(&manifest);
        let may_have_expired = listed
            .last_modified()
            .is_some_and(|created| retention.may_have_expired(created.secs(), now()));
        progress.manifests += 1;
        let at_once = if deep {
            MAX_CONCURRENT_READS
        } else {
            MAX_CONCURRENT_HEADS
        };
        let found = futures::stream::iter(&manifest.objects)
            .map(|object| find(bucket, object, deep))
            .buffer_unordered(at_once);
        let mut found = std::pin::pin!(found);
        while let Some((object, found)) = found.try_next().await? {
            let found = if may_have_expired && matches!(found, Found::Nothing) {
                Found::Expired
            } else {
                found
            };
            audit.object(&manifest, object, &found);
            progress.objects += 1;
            progress.show();
        }
    }
    audit.close();
    Ok(audit)
}

async fn manifest(
    bucket: &LakeBucket,
    listed: Listed,
) -> Result<(Listed, Option<Arc<Manifest>>), LakeError> {
    let manifest = match listed.key().and_then(ManifestKey::parse) {
        Some(key) => bucket.manifest(&key).await?,
        None => None,
    };
    Ok((listed, manifest))
}

async fn find<'a>(
    bucket: &LakeBucket,
    object: &'a ManifestObject,
    deep: bool,
) -> Result<(&'a ManifestObject, Found)> {
    let key = object.key.to_string();
    let found = if deep {
        match bucket.get(&key).await? {
            None => Found::Nothing,
            Some(Stored { metadata: None, .. }) => Found::Foreign,
            Some(Stored {
                body,
                metadata: Some(metadata),
            }) => {
                let kind = object.key.kind();
                let rows = tokio::task::spawn_blocking(move || Content::decode(kind, body));
                Found::Object {
                    metadata,
                    rows: Some(rows.await?.map_err(|error| error.to_string())),
                }
            }
        }
    } else {
        match bucket.head(&key).await? {
            Head::Absent => Found::Nothing,
            Head::Foreign => Found::Foreign,
            Head::Ours(metadata) => Found::Object {
                metadata,
                rows: None,
            },
        }
    };
    Ok((object, found))
}

/// Looks for objects that no manifest knows.
async fn strangers(bucket: &LakeBucket, progress: &mut Progress) -> Result<Audit> {
    let mut strangers = Audit::default();
    let mut kept: HashMap<ManifestKey, Option<Arc<Manifest>>> = HashMap::new();
    for prefix in [ObjectKey::DATA, ObjectKey::DEAD_LETTERS] {
        let mut keys = bucket.keys(prefix);
        while let Some(text) = keys.try_next().await? {
            progress.objects += 1;
            progress.show();
            let Ok(key) = ObjectKey::parse(&text) else {
                strangers.fault(format!(
                    "{text} was written by another program: its key is not one of the lake's"
                ));
                continue;
            };
            let place = ManifestKey {
                topic: key.topic().to_owned(),
                partition: key.partition(),
                first: key.first(),
            };
            if !kept.contains_key(&place) {
                if kept.len() >= MAX_KEPT_MANIFESTS {
                    kept.clear();
                }
                kept.insert(place.clone(), bucket.manifest(&place).await?);
            }
            let known = kept[&place]
                .as_ref()
                .is_some_and(|manifest| manifest.objects.iter().any(|object| object.key == key));
            if !known {
                strangers.fault(format!(
                    "{text} is in no manifest: another program wrote it"
                ));
            }
        }
    }
    Ok(strangers)
}

/// Says on standard error how far a long walk has come.
struct Progress {
    manifests: u64,
    objects: u64,
    shown: Instant,
}

impl Progress {
    fn show(&mut self) {
        if self.shown.elapsed() >= PROGRESS_INTERVAL {
            self.shown = Instant::now();
            eprintln!(
                "… {} manifests read, {} objects looked at",
                grouped(self.manifests),
                grouped(self.objects)
            );
        }
    }
}

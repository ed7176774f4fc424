//! Proves a lake against its manifests. Reads only, and needs no Kafka. Memory does not
//! grow with the lake: manifests and objects are looked at in pages, and what has been
//! looked at is counted and forgotten.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures::{StreamExt as _, TryStreamExt as _};
use lake::{Audit, Content, Found, Manifest, ManifestKey, ManifestObject, ObjectKey, Retention};
use wording::grouped;

use crate::lake_bucket::{LakeBucket, Listed, now};

/// Manifests that are read at the same time.
const MANIFESTS: usize = 16;
/// Objects that are looked at at the same time; one that is read deeply is held in memory
/// whole.
const OBJECTS: (usize, usize) = (32, 4);
/// Manifests that are kept while objects are compared with them: neighbours in a listing
/// share them.
const KEPT: usize = 256;
/// Time between two signs of life.
const SIGN: Duration = Duration::from_secs(5);

/// What was found.
pub(crate) struct Report {
    /// By topic and partition.
    pub(crate) partitions: BTreeMap<(String, i32), Audit>,
    /// Objects below the lake's prefixes that no manifest knows.
    pub(crate) strangers: Audit,
}

impl Report {
    pub(crate) fn faults(&self) -> u64 {
        self.partitions
            .values()
            .map(|audit| audit.faults)
            .sum::<u64>()
            + self.strangers.faults
    }
}

/// Walks every manifest of a lake, and every object; `deep` reads the objects.
///
/// # Errors
/// S3 does not answer, or a manifest is of a later version.
pub(crate) async fn walk(bucket: &LakeBucket, deep: bool) -> Result<Report> {
    let mut progress = Progress {
        manifests: 0,
        objects: 0,
        said: Instant::now(),
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
                    "{}{topic}/{partition}/ is no partition's folder",
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
        .try_buffered(MANIFESTS);
    while let Some((listed, manifest)) = manifests.try_next().await? {
        let Some(manifest) = manifest else {
            audit.fault(format!(
                "{} is no manifest",
                listed.key().unwrap_or_default()
            ));
            continue;
        };
        audit.manifest(&manifest);
        let may_have_expired = listed
            .last_modified()
            .is_some_and(|created| retention.may_have_expired(created.secs(), now()));
        progress.manifests += 1;
        let at_once = if deep { OBJECTS.1 } else { OBJECTS.0 };
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
            progress.sign();
        }
    }
    audit.close();
    Ok(audit)
}

async fn manifest(bucket: &LakeBucket, listed: Listed) -> Result<(Listed, Option<Arc<Manifest>>)> {
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
            Some((_, None)) => Found::Foreign,
            Some((body, Some(metadata))) => {
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
            None => Found::Nothing,
            Some(None) => Found::Foreign,
            Some(Some(metadata)) => Found::Object {
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
            progress.sign();
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
                if kept.len() >= KEPT {
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
    said: Instant,
}

impl Progress {
    fn sign(&mut self) {
        if self.said.elapsed() >= SIGN {
            self.said = Instant::now();
            eprintln!(
                "… {} manifests read, {} objects looked at",
                grouped(self.manifests),
                grouped(self.objects)
            );
        }
    }
}

impl Report {
    pub(crate) fn json(&self) -> serde_json::Value {
        let partition = |((topic, partition), audit): (&(String, i32), &Audit)| {
            let mut entry = serde_json::json!(audit);
            entry["topic"] = topic.as_str().into();
            entry["partition"] = (*partition).into();
            entry
        };
        serde_json::json!({
            "whole": self.faults() == 0,
            "faults": self.faults(),
            "partitions": self.partitions.iter().map(partition).collect::<Vec<_>>(),
            "objects_in_no_manifest": self.strangers.faults,
            "told": self.strangers.told,
        })
    }

    /// Returns a table for people, with every fault below it.
    pub(crate) fn table(&self) -> String {
        let headings = [
            "from",
            "to",
            "landed",
            "dead letters",
            "gaps",
            "absent",
            "objects",
            "expired",
            "inexact numbers",
            "faults",
        ]
        .map(str::to_owned);
        let mut lines = Vec::new();
        let mut topic = "";
        for ((of, partition), audit) in &self.partitions {
            if of != topic {
                topic = of;
                lines.push([vec![format!("topic {of}")], headings.to_vec()].concat());
            }
            let number = |number: Option<i64>| {
                number.map_or_else(|| "–".to_owned(), |number| grouped(number.unsigned_abs()))
            };
            let gaps: Vec<String> = audit
                .gaps
                .iter()
                .map(|(reason, offsets)| format!("{} ({reason})", grouped(*offsets)))
                .collect();
            lines.push(vec![
                partition.to_string(),
                number(audit.from),
                number(audit.to),
                grouped(audit.landed),
                grouped(audit.dead_letters),
                if gaps.is_empty() {
                    "–".to_owned()
                } else {
                    gaps.join(", ")
                },
                grouped(audit.absent),
                grouped(audit.objects),
                grouped(audit.expired),
                audit
                    .inexact_numbers
                    .map_or_else(|| "–".to_owned(), grouped),
                grouped(audit.faults),
            ]);
        }
        let widths: Vec<usize> = (0..=headings.len())
            .map(|column| {
                lines
                    .iter()
                    .map(|line| line[column].chars().count())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        for line in &lines {
            let padded: Vec<String> = line
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:width$}"))
                .collect();
            text.push_str(padded.join("   ").trim_end());
            text.push('\n');
        }
        for ((topic, partition), audit) in &self.partitions {
            audit.told.iter().for_each(|fault| {
                text.push_str(&format!(
                    "fault in partition {partition} of topic {topic}: {fault}\n"
                ))
            });
        }
        self.strangers
            .told
            .iter()
            .for_each(|fault| text.push_str(&format!("fault: {fault}\n")));
        match (self.faults(), self.partitions.is_empty()) {
            (0, true) => text.push_str("nothing has landed in this lake yet.\n"),
            (0, false) => text.push_str("whole: every offset is accounted for exactly once.\n"),
            (faults, _) => text.push_str(&format!("NOT WHOLE: {} faults.\n", grouped(faults))),
        }
        text
    }
}

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use anyhow::{Context as _, Result};
use aws_sdk_s3::Client;
use lake::ObjectMetadata;

use crate::Aws;

/// An object of the lake.
#[derive(Debug, Clone)]
pub struct LakeObject {
    /// Its size in bytes.
    pub size: u64,
    /// Its metadata; `None` if another program wrote the object.
    pub metadata: Option<ObjectMetadata>,
}

/// The objects below `ticks/` and `dead-letter/`, by key. Objects are never overwritten,
/// so each is looked up once.
#[derive(Debug, Clone, Default)]
pub struct LakeContents {
    /// The objects.
    pub objects: BTreeMap<String, LakeObject>,
}

impl LakeContents {
    /// Lists the bucket and looks up the new objects.
    ///
    /// # Errors
    /// S3 refuses.
    pub async fn refresh(&mut self, aws: &Aws, bucket: &str) -> Result<()> {
        let s3 = Client::new(aws.config());
        for prefix in ["ticks/", "dead-letter/"] {
            for (key, size) in list(&s3, bucket, prefix).await? {
                let Entry::Vacant(new) = self.objects.entry(key) else {
                    continue;
                };
                let head = s3
                    .head_object()
                    .bucket(bucket)
                    .key(new.key())
                    .send()
                    .await
                    .with_context(|| format!("HEAD s3://{bucket}/{}", new.key()))?;
                let metadata = head.metadata().and_then(ObjectMetadata::from_map);
                new.insert(LakeObject { size, metadata });
            }
        }
        Ok(())
    }

    /// Returns the number of rows of the objects below a prefix, from their metadata.
    pub fn rows(&self, prefix: &str) -> u64 {
        self.below(prefix)
            .filter_map(|(_, object)| Some(object.metadata.as_ref()?.rows))
            .sum()
    }

    /// Returns the bytes of the objects below a prefix.
    pub fn bytes(&self, prefix: &str) -> u64 {
        self.below(prefix).map(|(_, object)| object.size).sum()
    }

    /// Returns the objects below a prefix.
    pub fn below(&self, prefix: &str) -> impl Iterator<Item = (&str, &LakeObject)> {
        self.objects
            .iter()
            .filter(move |(key, _)| key.starts_with(prefix))
            .map(|(key, object)| (key.as_str(), object))
    }
}

/// Returns keys and sizes of the objects below a prefix.
///
/// # Errors
/// S3 refuses.
pub async fn list(s3: &Client, bucket: &str, prefix: &str) -> Result<Vec<(String, u64)>> {
    let mut found = Vec::new();
    let mut pages = s3
        .list_objects_v2()
        .bucket(bucket)
        .prefix(prefix)
        .into_paginator()
        .send();
    while let Some(page) = pages.next().await {
        let page = page.with_context(|| format!("LIST s3://{bucket}/{prefix}"))?;
        for object in page.contents() {
            if let Some(key) = object.key() {
                found.push((
                    key.to_owned(),
                    object
                        .size()
                        .and_then(|size| u64::try_from(size).ok())
                        .unwrap_or_default(),
                ));
            }
        }
    }
    Ok(found)
}

//! Reads through the catalog, as Athena does, without any of ticklake's own code.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail, ensure};
use aws_sdk_s3::Client;
use local::{Aws, CuratedLake, catalog, list_objects};
use serde_json::Value;

/// Looks at the catalog while others change it.
pub(super) struct Reader<'a> {
    aws: &'a Aws,
    s3: Client,
    bucket: &'a str,
    /// The locations that were seen, all of them whole.
    seen: BTreeSet<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(aws: &'a Aws, bucket: &'a str) -> Self {
        Self {
            aws,
            s3: Client::new(aws.config()),
            bucket,
            seen: BTreeSet::new(),
        }
    }

    /// Expects that each location in the catalog is that of a committed version, and has
    /// the files of all its units. Files of committed versions stay, so it does not matter
    /// that the catalog may change meanwhile.
    pub(super) async fn look(&mut self) -> Result<()> {
        for (table, prefix) in CuratedLake::TABLES {
            for (values, location) in catalog::locations(self.aws, self.bucket, table).await? {
                if !self.seen.contains(&location) {
                    let hour = format!("dt={}/hr={}", values[0], values[1]);
                    let whole = self.is_whole(prefix, &hour, &location).await;
                    whole.with_context(|| format!("the catalog has {location}"))?;
                    self.seen.insert(location);
                }
            }
        }
        Ok(())
    }

    /// Returns the number of versions that were seen of the hour with the fewest.
    pub(super) fn fewest_versions(&self) -> usize {
        let mut versions: BTreeMap<&str, usize> = BTreeMap::new();
        for location in &self.seen {
            let (hour, _) = location.split_once("/v=").unwrap_or((location, ""));
            *versions.entry(hour).or_default() += 1;
        }
        versions.into_values().min().unwrap_or_default()
    }

    async fn is_whole(&self, prefix: &str, hour: &str, location: &str) -> Result<()> {
        let root = format!("s3://{}/", self.bucket);
        let folder = location.strip_prefix(&root).context("not in the bucket")?;
        let version = folder
            .strip_prefix(&format!("{prefix}{hour}/v="))
            .and_then(|version| version.strip_suffix('/'))
            .context("not a version of the hour")?;
        let outcome = self.register(hour, version, "outcome").await?;
        ensure!(
            outcome["content"]["committed"].is_object(),
            "its outcome is {outcome}"
        );
        let plan = self.register(hour, version, "plan").await?;
        let Some(units) = plan["content"]["units"].as_u64() else {
            bail!("its plan is {plan}");
        };
        let files = list_objects(&self.s3, self.bucket, folder).await?;
        let (files, units) = (files.len() as u64, units);
        ensure!(files == units, "{files} files of {units} units");
        Ok(())
    }

    async fn register(&self, hour: &str, version: &str, name: &str) -> Result<Value> {
        let key = format!("_curated/{hour}/{version}.{name}.json");
        let get = self.s3.get_object().bucket(self.bucket).key(&key);
        let object = get.send().await.with_context(|| key.clone())?;
        let body = object.body.collect().await?.into_bytes();
        serde_json::from_slice(&body).context(key)
    }
}

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use aws_sdk_glue::types::{CrawlerState, CrawlerTargets, PartitionInput, StorageDescriptor, Table};
use tokio::task::JoinHandle;
use tracing::warn;

use crate::Aws;
use crate::aws::lake_contents::list;
use crate::stand_ins::crawled_table::CrawledTable;

/// Time between two polls of the crawler's state.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// Glue's limit of partitions in one BatchCreatePartition.
const MAX_PARTITIONS_PER_CALL: usize = 100;

/// Does the work of a Glue crawler while ministack reports it as running. For a catalog
/// target it adds the partitions below the table; for an S3 target it creates table,
/// columns and partitions from the objects below it.
pub struct CrawlWorker {
    crawls: Arc<AtomicU64>,
    worker: JoinHandle<()>,
}

impl CrawlWorker {
    /// Starts to watch a crawler.
    pub fn start(aws: &Aws, crawler: &str) -> Self {
        let crawls = Arc::new(AtomicU64::new(0));
        let crawl = Crawl {
            glue: aws_sdk_glue::Client::new(aws.config()),
            s3: aws_sdk_s3::Client::new(aws.config()),
        };
        let worker = tokio::spawn(watch(crawl, crawler.to_owned(), Arc::clone(&crawls)));
        Self { crawls, worker }
    }

    /// Returns the number of crawls that have begun.
    pub fn crawls(&self) -> u64 {
        self.crawls.load(Ordering::Relaxed)
    }
}

impl Drop for CrawlWorker {
    fn drop(&mut self) {
        self.worker.abort();
    }
}

async fn watch(crawl: Crawl, crawler: String, crawls: Arc<AtomicU64>) {
    let mut was_running = false;
    loop {
        match crawl.step(&crawler).await {
            Ok(is_running) => {
                if is_running && !was_running {
                    crawls.fetch_add(1, Ordering::Relaxed);
                }
                was_running = is_running;
            }
            Err(error) => warn!(
                crawler,
                error = format!("{error:#}"),
                "crawl failed, trying again"
            ),
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

struct Crawl {
    glue: aws_sdk_glue::Client,
    s3: aws_sdk_s3::Client,
}

impl Crawl {
    /// Crawls again and again while the crawler is running, so that it also finds objects
    /// that come late in a crawl. A real one takes a minute.
    async fn step(&self, crawler: &str) -> Result<bool> {
        let answer = self
            .glue
            .get_crawler()
            .name(crawler)
            .send()
            .await
            .context("GetCrawler")?;
        let crawler = answer.crawler().context("no crawler")?;
        let is_running = crawler.state() == Some(&CrawlerState::Running);
        if is_running {
            self.crawl(
                crawler.database_name().unwrap_or_default(),
                crawler.targets().context("the crawler has no targets")?,
            )
            .await?;
        }
        Ok(is_running)
    }

    async fn crawl(&self, database: &str, targets: &CrawlerTargets) -> Result<()> {
        for target in targets.catalog_targets() {
            for name in target.tables() {
                let table = self
                    .glue
                    .get_table()
                    .database_name(target.database_name())
                    .name(name)
                    .send()
                    .await
                    .context("GetTable")?;
                self.add_partitions(table.table().context("no table")?)
                    .await?;
            }
        }
        for target in targets.s3_targets() {
            let path = target.path().context("an S3 target without a path")?;
            let (bucket, prefix) = split(path)?;
            if let Some(found) = CrawledTable::infer(&self.s3, bucket, prefix).await? {
                let table = found.save(&self.glue, database).await?;
                self.add_partitions(&table).await?;
            }
        }
        Ok(())
    }

    /// Adds the partitions whose folders are below the table's location, unless the table
    /// already has them.
    async fn add_partitions(&self, table: &Table) -> Result<()> {
        let (database, name) = (table.database_name().unwrap_or_default(), table.name());
        let storage = table
            .storage_descriptor()
            .context("the table has no storage descriptor")?;
        let location = storage.location().context("the table has no location")?;
        let (bucket, prefix) = split(location)?;
        let keys: Vec<&str> = table
            .partition_keys()
            .iter()
            .map(|column| column.name())
            .collect();
        let mut found: BTreeMap<Vec<String>, String> = BTreeMap::new();
        for (key, _) in list(&self.s3, bucket, prefix).await? {
            if let Some((values, folder)) = partition_of(&key[prefix.len()..], &keys) {
                found.insert(values, format!("s3://{bucket}/{prefix}{folder}"));
            }
        }
        let mut known = BTreeSet::new();
        let mut pages = self
            .glue
            .get_partitions()
            .database_name(database)
            .table_name(name)
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            known.extend(
                page.context("GetPartitions")?
                    .partitions()
                    .iter()
                    .map(|partition| partition.values().to_vec()),
            );
        }
        let new: Vec<PartitionInput> = found
            .into_iter()
            .filter(|(values, _)| !known.contains(values))
            .map(|(values, folder)| partition_input(storage, values, &folder))
            .collect();
        for chunk in new.chunks(MAX_PARTITIONS_PER_CALL) {
            let create = self
                .glue
                .batch_create_partition()
                .database_name(database)
                .table_name(name);
            create
                .set_partition_input_list(Some(chunk.to_vec()))
                .send()
                .await
                .context("BatchCreatePartition")?;
        }
        Ok(())
    }
}

fn partition_input(
    storage: &StorageDescriptor,
    values: Vec<String>,
    folder: &str,
) -> PartitionInput {
    let mut storage = storage.clone();
    storage.location = Some(folder.to_owned());
    PartitionInput::builder()
        .set_values(Some(values))
        .storage_descriptor(storage)
        .build()
}

/// Returns the values of the partition keys, and the folder that names them, in a key
/// such as `dt=2026-11-21/hr=05/name`.
fn partition_of(key: &str, keys: &[&str]) -> Option<(Vec<String>, String)> {
    let mut rest = key;
    let mut values = Vec::new();
    for key in keys {
        let (folder, below) = rest.split_once('/')?;
        values.push(folder.strip_prefix(key)?.strip_prefix('=')?.to_owned());
        rest = below;
    }
    // Athena skips names that begin with an underscore or a dot. An empty name is a
    // folder marker.
    let hidden = rest.is_empty() || rest.split('/').any(|part| part.starts_with(['_', '.']));
    (!hidden).then(|| (values, key[..key.len() - rest.len()].to_owned()))
}

/// Splits `s3://bucket/prefix/`; the prefix ends in a slash.
fn split(location: &str) -> Result<(&str, &str)> {
    let path = location
        .strip_prefix("s3://")
        .with_context(|| format!("not an S3 location: {location}"))?;
    path.split_once('/')
        .filter(|(_, prefix)| prefix.ends_with('/'))
        .with_context(|| format!("not a folder in S3: {location}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_the_folders_that_name_all_keys() {
        let keys = ["dt", "hr"];
        assert_eq!(
            partition_of("dt=2026-11-21/hr=05/x.parquet", &keys),
            Some((
                vec!["2026-11-21".into(), "05".into()],
                "dt=2026-11-21/hr=05/".into()
            ))
        );
        for key in [
            "dt=1/x.parquet",
            "hr=05/dt=1/x",
            "dt=1/hr=2/",
            "dt=1/hr=2/_SUCCESS",
        ] {
            assert_eq!(partition_of(key, &keys), None, "{key}");
        }
    }
}

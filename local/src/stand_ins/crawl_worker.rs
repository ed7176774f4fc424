use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tracing::warn;

use crate::Aws;
use crate::aws::call::items;
use crate::aws::catalog;
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
            aws: aws.clone(),
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
    aws: Aws,
    s3: aws_sdk_s3::Client,
}

impl Crawl {
    /// Crawls again and again while the crawler is running, so that it also finds objects
    /// that come late in a crawl. A real one takes a minute.
    async fn step(&self, crawler: &str) -> Result<bool> {
        let crawler = catalog::crawler(&self.aws, crawler).await?;
        let is_running = catalog::is_running(&crawler);
        if is_running {
            let database = crawler["DatabaseName"].as_str().unwrap_or_default();
            self.crawl(database, &crawler["Targets"]).await?;
        }
        Ok(is_running)
    }

    async fn crawl(&self, database: &str, targets: &Value) -> Result<()> {
        for target in items(&targets["CatalogTargets"]) {
            for name in items(&target["Tables"]) {
                let table = json!({"DatabaseName": target["DatabaseName"], "Name": name});
                let answer = self.aws.call("glue", "get_table", &table).await?;
                self.add_partitions(&answer["Table"]).await?;
            }
        }
        for target in items(&targets["S3Targets"]) {
            let (bucket, prefix) = split(&target["Path"])?;
            if let Some(found) = CrawledTable::infer(&self.s3, bucket, prefix).await? {
                let table = found.save(&self.aws, database).await?;
                self.add_partitions(&table).await?;
            }
        }
        Ok(())
    }

    /// Adds the partitions whose folders are below the table's location, unless the table
    /// already has them.
    async fn add_partitions(&self, table: &Value) -> Result<()> {
        let text = |field: &str| table[field].as_str().context("a table without a name");
        let (database, name) = (text("DatabaseName")?, text("Name")?);
        let storage = &table["StorageDescriptor"];
        let (bucket, prefix) = split(&storage["Location"])?;
        let keys = items(&table["PartitionKeys"]).filter_map(|column| column["Name"].as_str());
        let keys: Vec<&str> = keys.collect();
        let mut found: BTreeMap<Vec<String>, String> = BTreeMap::new();
        for (key, _) in list(&self.s3, bucket, prefix).await? {
            if let Some((values, folder)) = partition_of(&key[prefix.len()..], &keys) {
                found.insert(values, format!("s3://{bucket}/{prefix}{folder}"));
            }
        }
        let known = catalog::partitions(&self.aws, database, name).await?;
        let new: Vec<Value> = found
            .into_iter()
            .filter(|(values, _)| !known.contains(values))
            .map(|(values, folder)| partition_input(storage, &values, &folder))
            .collect();
        for chunk in new.chunks(MAX_PARTITIONS_PER_CALL) {
            let create = json!({
                "DatabaseName": database, "TableName": name, "PartitionInputList": chunk,
            });
            self.aws
                .call("glue", "batch_create_partition", &create)
                .await?;
        }
        Ok(())
    }
}

fn partition_input(storage: &Value, values: &[String], folder: &str) -> Value {
    let mut storage = storage.clone();
    storage["Location"] = folder.into();
    json!({"Values": values, "StorageDescriptor": storage})
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
fn split(location: &Value) -> Result<(&str, &str)> {
    let path = location
        .as_str()
        .and_then(|location| location.strip_prefix("s3://"));
    path.and_then(|path| path.split_once('/'))
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

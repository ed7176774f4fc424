use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use aws_sdk_s3::Client;
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::process::Command;

use crate::aws::catalog;
use crate::aws::lake_contents::list;
use crate::{Aws, Repository, Tools};

/// Objects that are downloaded at a time.
const MAX_READS: usize = 8;

/// Copies of a lake's objects, one folder a table, for readers with no code of ticklake's.
#[derive(Debug, Clone, Copy)]
pub struct LakeCopy<'a> {
    /// The local AWS.
    pub aws: &'a Aws,
    /// The folder.
    pub folder: &'a Path,
}

impl LakeCopy<'_> {
    /// Copies the objects that the catalog names for a table. Returns their number.
    ///
    /// # Errors
    /// S3 or Glue refuses.
    pub async fn table(&self, database: &str, table: &str) -> Result<usize> {
        let mut objects = Vec::new();
        let s3 = Client::new(self.aws.config());
        for (values, location) in catalog::locations(self.aws, database, table).await? {
            let (bucket, prefix) = location
                .strip_prefix("s3://")
                .and_then(|location| location.split_once('/'))
                .context("a partition has no location in S3")?;
            let [dt, hr] = &values[..] else {
                bail!("a partition of {database}.{table} has not the keys dt and hr");
            };
            for (key, _) in list(&s3, bucket, prefix).await? {
                let name = key.strip_prefix(prefix).unwrap_or(&key).replace('/', "-");
                objects.push(Object {
                    path: format!("{table}/dt={dt}/hr={hr}/{name}"),
                    bucket: bucket.to_owned(),
                    key,
                });
            }
        }
        self.download(&s3, objects).await
    }

    /// Copies the raw objects of a lake as the table `raw`. Returns their number.
    ///
    /// # Errors
    /// S3 refuses.
    pub async fn raw(&self, bucket: &str) -> Result<usize> {
        let s3 = Client::new(self.aws.config());
        let listed = list(&s3, bucket, "ticks/").await?;
        let objects = listed.into_iter().map(|(key, _)| Object {
            path: key.replacen("ticks/", "raw/", 1),
            bucket: bucket.to_owned(),
            key,
        });
        self.download(&s3, objects.collect()).await
    }

    async fn download(&self, s3: &Client, objects: Vec<Object>) -> Result<usize> {
        let count = objects.len();
        let download = async |Object { bucket, key, path }| {
            let path = self.folder.join(path);
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
            }
            let object = s3.get_object().bucket(&bucket).key(&key).send().await;
            let object = object.with_context(|| format!("GET s3://{bucket}/{key}"))?;
            let body = object.body.collect().await?.into_bytes();
            std::fs::write(&path, body).with_context(|| path.display().to_string())
        };
        let downloads = futures::stream::iter(objects).map(download);
        let downloads = downloads.buffer_unordered(MAX_READS);
        downloads.try_collect::<()>().await?;
        Ok(count)
    }
}

/// An object, and the path of its copy.
struct Object {
    bucket: String,
    key: String,
    path: String,
}

/// Compares the tables `curated_ticks` and `bars_1m` in a folder of copies with the raw
/// objects in it, by DuckDB. Returns a line about both.
///
/// # Errors
/// They differ; the error says in which respect.
pub async fn recount(tools: &Tools, folder: &Path) -> Result<String> {
    let mut python = Command::new(tools.path("python"));
    python
        .arg(Repository::here().path("local/recount.py"))
        .arg(folder)
        .kill_on_drop(true);
    let output = python.output().await.context("cannot run python")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let mut lines = said.lines();
    let counts = lines.next().unwrap_or_default();
    ensure!(
        lines.next_back() == Some("ok"),
        "DuckDB finds {}{errors}",
        said.lines().last().unwrap_or_default()
    );
    Ok(counts.to_owned())
}

//! What the demo claims, looked up where users would look: S3, the catalog, the mails,
//! Athena.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use lake::LakePartition;
use local::{Aws, Deployment, LakeContents, Mail, Mailbox, ProcessId, Processes, Rows, catalog};
use tokio::time::{Instant, sleep};

use super::PATIENCE;
use wording::grouped;

const LOOK: Duration = Duration::from_millis(100);

/// What Athena counts in the lake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Landed {
    pub(crate) rows: u64,
    /// Rows that another row has the same partition and offset as.
    pub(crate) duplicates: u64,
}

/// Waits until the objects hold as many rows as were sent; goes on for as long as more
/// come.
pub(crate) async fn all_landed(
    lake: &mut LakeContents,
    aws: &Aws,
    bucket: &str,
    sent: u64,
    processes: &Processes,
    consumer: ProcessId,
) -> Result<()> {
    let (mut landed, mut since) = (0, Instant::now());
    loop {
        processes.expect_running(consumer).await?;
        lake.refresh(aws, bucket).await?;
        let now = lake.rows("");
        if now >= sent {
            return Ok(());
        }
        if now > landed {
            (landed, since) = (now, Instant::now());
        }
        if since.elapsed() > PATIENCE {
            bail!(
                "{} of {} ticks have landed in s3://{bucket}, and no more for {} s",
                grouped(landed),
                grouped(sent),
                PATIENCE.as_secs()
            );
        }
        sleep(LOOK).await;
    }
}

/// Returns the folders of the data objects.
pub(crate) fn folders(lake: &LakeContents) -> BTreeSet<&str> {
    lake.below("ticks/")
        .filter_map(|(key, _)| Some(key.rsplit_once('/')?.0))
        .collect()
}

/// Waits until the table has every partition that data objects lie in; returns the number
/// of those and of all that the table has.
pub(crate) async fn all_crawled(
    lake: &LakeContents,
    aws: &Aws,
    deployment: &Deployment,
) -> Result<(u64, u64)> {
    let wanted: BTreeSet<Vec<String>> = lake
        .below("ticks/")
        .filter_map(|(key, _)| LakePartition::of_key(key))
        .map(|partition| vec![partition.dt(), partition.hr()])
        .collect();
    let (database, table) = (
        deployment.output("DatabaseName")?,
        deployment.output("TableName")?,
    );
    let start = Instant::now();
    loop {
        let known = catalog::partitions(aws, database, table)
            .await
            .with_context(|| format!("the table {database}.{table} is not in the catalog"))?;
        let missing: Vec<String> = wanted
            .difference(&known)
            .map(|values| values.join("/"))
            .collect();
        if missing.is_empty() {
            return Ok((wanted.len() as u64, known.len() as u64));
        }
        if start.elapsed() > PATIENCE {
            bail!(
                "partitions {} of {database}.{table} are not in the catalog after {} s",
                missing.join(", "),
                PATIENCE.as_secs()
            );
        }
        sleep(LOOK).await;
    }
}

/// Waits until a mail lists every object; returns the mails.
pub(crate) async fn all_announced(
    lake: &LakeContents,
    bucket: &str,
    mailbox: &Mailbox,
) -> Result<Vec<Mail>> {
    let start = Instant::now();
    loop {
        let mails = mailbox.mails();
        let listed = listed(&mails);
        let missing: Vec<&str> = lake
            .objects
            .keys()
            .filter(|key| !listed.contains_key(&format!("s3://{bucket}/{key}")))
            .map(String::as_str)
            .collect();
        if missing.is_empty() {
            return Ok(mails);
        }
        if start.elapsed() > PATIENCE {
            bail!(
                "no mail lists {} after {} s",
                missing.join(", "),
                PATIENCE.as_secs()
            );
        }
        sleep(LOOK).await;
    }
}

/// Returns how often the mails list each object.
pub(crate) fn listed(mails: &[Mail]) -> BTreeMap<String, u64> {
    let mut listed = BTreeMap::new();
    for (url, times) in mails.iter().flat_map(Mail::listed) {
        *listed.entry(url).or_default() += times;
    }
    listed
}

/// Counts the rows in Athena.
pub(crate) async fn rows_by_query(aws: &Aws, deployment: &Deployment) -> Result<Landed> {
    let sql = "SELECT count(*) AS landed, count(DISTINCT CAST(kafka_partition AS varchar) || '-' || CAST(kafka_offset AS varchar)) AS distinct_rows FROM ticks";
    let result = Rows::query(
        aws,
        deployment.output("WorkGroupName")?,
        deployment.output("DatabaseName")?,
        sql,
    )
    .await?;
    let row = result.rows.first().context("count(*) gave no row")?;
    ensure!(row.len() == 2, "count(*) gave {row:?}");
    let (rows, distinct): (u64, u64) = (row[0].parse()?, row[1].parse()?);
    Ok(Landed {
        rows,
        duplicates: rows - distinct,
    })
}

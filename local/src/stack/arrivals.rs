//! Waits for ticks in the places that users look at: S3, the catalog, the mails, Athena.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use lake::LakePartition;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use wording::grouped;

use crate::{Aws, Deployment, LakeContents, Mail, Mailbox, ProcessId, Processes, Rows, catalog};

/// Limit of a wait for progress.
const PROGRESS_TIMEOUT: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Athena's count of the lake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Landed {
    /// Rows.
    pub rows: u64,
    /// Rows with the same partition and offset as another row.
    pub duplicates: u64,
}

/// Waits until the objects hold as many rows as were sent. Gives up if no more rows come.
///
/// # Errors
/// No more rows come for a minute, or the consumer has ended.
pub async fn all_landed(
    lake: &mut LakeContents,
    aws: &Aws,
    bucket: &str,
    sent: u64,
    processes: &Processes,
    consumer: ProcessId,
) -> Result<()> {
    let mut landed = 0;
    let mut since = Instant::now();
    loop {
        processes.expect_running(consumer).await?;
        lake.refresh(aws, bucket).await?;
        let now = lake.rows("");
        if now >= sent {
            return Ok(());
        }
        if now > landed {
            landed = now;
            since = Instant::now();
        }
        if since.elapsed() > PROGRESS_TIMEOUT {
            bail!(
                "{} of {} ticks have landed in s3://{bucket}, and no more for {} s",
                grouped(landed),
                grouped(sent),
                PROGRESS_TIMEOUT.as_secs()
            );
        }
        sleep(POLL_INTERVAL).await;
    }
}

/// Returns the folders of the data objects.
pub fn folders(lake: &LakeContents) -> BTreeSet<&str> {
    lake.below("ticks/")
        .filter_map(|(key, _)| Some(key.rsplit_once('/')?.0))
        .collect()
}

/// Waits until the table has the partition of every data object. Returns the number of
/// those partitions and the number of all partitions of the table.
///
/// # Errors
/// A partition is missing after a minute; the error names it.
pub async fn all_crawled(
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
        let known = partitions(aws, deployment).await?;
        let missing: Vec<String> = wanted
            .difference(&known)
            .map(|values| values.join("/"))
            .collect();
        if missing.is_empty() {
            return Ok((wanted.len() as u64, known.len() as u64));
        }
        if start.elapsed() > PROGRESS_TIMEOUT {
            bail!(
                "partitions {} of {database}.{table} are not in the catalog after {} s",
                missing.join(", "),
                PROGRESS_TIMEOUT.as_secs()
            );
        }
        sleep(POLL_INTERVAL).await;
    }
}

/// Returns the values of each partition that the table has in the catalog.
///
/// # Errors
/// Glue refuses, or has no such table.
pub async fn partitions(aws: &Aws, deployment: &Deployment) -> Result<BTreeSet<Vec<String>>> {
    let (database, table) = (
        deployment.output("DatabaseName")?,
        deployment.output("TableName")?,
    );
    catalog::partitions(aws, database, table)
        .await
        .with_context(|| format!("the table {database}.{table} is not in the catalog"))
}

/// Waits until every object is listed in a mail. Returns the mails.
///
/// # Errors
/// An object is in no mail after a minute; the error names it.
pub async fn all_announced(
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
        if start.elapsed() > PROGRESS_TIMEOUT {
            bail!(
                "no mail lists {} after {} s",
                missing.join(", "),
                PROGRESS_TIMEOUT.as_secs()
            );
        }
        sleep(POLL_INTERVAL).await;
    }
}

/// Waits until a mail tells of each hour of the data objects. Returns these mails.
///
/// # Errors
/// An hour is in no mail after a minute; the error names it.
pub async fn all_hours_announced(lake: &LakeContents, mailbox: &Mailbox) -> Result<Vec<Mail>> {
    let wanted: BTreeSet<[String; 2]> = lake
        .below("ticks/")
        .filter_map(|(key, _)| LakePartition::of_key(key))
        .filter(|hour| *hour != LakePartition::Unknown)
        .map(|hour| [hour.dt(), hour.hr()])
        .collect();
    let deadline = Instant::now() + PROGRESS_TIMEOUT;
    loop {
        let mut mails = mailbox.mails();
        mails.retain(|mail| mail.attributes.get("kind").map(String::as_str) == Some("hour"));
        let told: BTreeSet<_> = mails.iter().flat_map(Mail::hours).collect();
        let missing: Vec<_> = wanted
            .difference(&told)
            .map(|hour| hour.join("/"))
            .collect();
        if missing.is_empty() {
            return Ok(mails);
        }
        if Instant::now() > deadline {
            let seconds = PROGRESS_TIMEOUT.as_secs();
            bail!(
                "no mail tells of the hours {} after {seconds} s",
                missing.join(", ")
            );
        }
        sleep(POLL_INTERVAL).await;
    }
}

/// Returns the number of times that the mails list each object.
pub fn listed(mails: &[Mail]) -> BTreeMap<String, u64> {
    let mut listed = BTreeMap::new();
    for (url, times) in mails.iter().flat_map(Mail::listed) {
        *listed.entry(url).or_default() += times;
    }
    listed
}

/// Makes `curate` look for closed hours, with these fields of its plan event, until all of
/// them are curated.
///
/// # Errors
/// An hour is not curated after a minute; the error has the function's last answer.
pub async fn all_curated(aws: &Aws, deployment: &Deployment, plan: Value) -> Result<()> {
    let function = deployment.output("CurateFunctionName")?;
    let event = json!({ "plan": plan });
    let deadline = Instant::now() + PROGRESS_TIMEOUT;
    loop {
        let answer = aws.invoke(function, &event).await?;
        if answer["hours"] != 0 && answer["hours"] == answer["curated"] {
            return Ok(());
        }
        if Instant::now() > deadline {
            let seconds = PROGRESS_TIMEOUT.as_secs();
            bail!("the hours are not curated after {seconds} s: {answer}");
        }
        sleep(POLL_INTERVAL).await;
    }
}

/// Counts the rows in Athena.
///
/// # Errors
/// The query fails.
pub async fn rows_by_query(aws: &Aws, deployment: &Deployment) -> Result<Landed> {
    let sql = "SELECT count(*) AS landed, \
               count(DISTINCT CAST(kafka_partition AS varchar) || '-' \
               || CAST(kafka_offset AS varchar)) AS distinct_rows FROM ticks";
    let result = Rows::query(
        aws,
        deployment.output("WorkGroupName")?,
        deployment.output("DatabaseName")?,
        sql,
    )
    .await?;
    let row = result.rows.first().context("count(*) gave no row")?;
    ensure!(row.len() == 2, "count(*) gave {row:?}");
    let rows: u64 = row[0].parse()?;
    let distinct: u64 = row[1].parse()?;
    Ok(Landed {
        rows,
        duplicates: rows - distinct,
    })
}

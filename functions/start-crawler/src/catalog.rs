use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use aws_sdk_glue::Client;
use aws_sdk_glue::types::{Crawler, CrawlerState, LastCrawlStatus, PartitionValueList};
use lake_layout::LakePartition;
use metrics::histogram;
use tracing::warn;

use crate::Settings;
use crate::handling::{Answer, CrawlerSeen};

/// Glue's limit of partitions in one BatchGetPartition.
const MAX_PARTITIONS_PER_CALL: usize = 1000;

/// The Glue catalog and the crawler that fills it.
pub(crate) struct Catalog {
    glue: Client,
    settings: Settings,
}

impl Catalog {
    pub(crate) fn new(glue: Client, settings: Settings) -> Self {
        Self { glue, settings }
    }

    /// Returns the crawler's state.
    pub(crate) async fn crawler(&self) -> Result<Answer> {
        let name = &self.settings.crawler;
        let answer = self.glue.get_crawler().name(name).send().await;
        let answer = answer
            .map_err(|error| anyhow::anyhow!(aws_connect::brief(&error)))
            .with_context(|| format!("GetCrawler {name}"))?;
        let crawler = answer
            .crawler()
            .with_context(|| format!("GetCrawler {name}: no crawler in the answer"))?;
        let failure = failure(crawler);
        histogram!("LastCrawlFailed").record(f64::from(u8::from(failure.is_some())));
        if let Some(reason) = failure {
            warn!(
                crawler = name,
                reason, "the last crawl failed; another starts if objects wait for it"
            );
        }
        Ok(Answer::Crawler(seen(crawler)))
    }

    /// Returns those of the partitions that the table has. A table that does not exist
    /// yet has none.
    pub(crate) async fn known(
        &self,
        partitions: &BTreeSet<LakePartition>,
    ) -> Result<BTreeSet<LakePartition>> {
        let values = |partition: &LakePartition| {
            PartitionValueList::builder()
                .values(partition.dt())
                .values(partition.hr())
                .build()
        };
        let keys = partitions
            .iter()
            .map(values)
            .collect::<Result<Vec<_>, _>>()?;
        let mut known = BTreeSet::new();
        for chunk in keys.chunks(MAX_PARTITIONS_PER_CALL) {
            let mut remaining = chunk.to_vec();
            // Ask for the unprocessed keys again, as long as Glue finds any.
            while !remaining.is_empty() {
                let (found, unprocessed) = self.some_known(remaining).await?;
                remaining = if found.is_empty() {
                    Vec::new()
                } else {
                    unprocessed
                };
                known.extend(found);
            }
        }
        Ok(known)
    }

    async fn some_known(
        &self,
        keys: Vec<PartitionValueList>,
    ) -> Result<(Vec<LakePartition>, Vec<PartitionValueList>)> {
        let Settings {
            database, table, ..
        } = &self.settings;
        let get = self
            .glue
            .batch_get_partition()
            .database_name(database)
            .table_name(table)
            .set_partitions_to_get(Some(keys));
        match get.send().await {
            Ok(answer) => {
                let found =
                    answer
                        .partitions()
                        .iter()
                        .filter_map(|partition| match partition.values() {
                            [dt, hr] => LakePartition::parse(dt, hr),
                            _ => None,
                        });
                Ok((found.collect(), answer.unprocessed_keys().to_vec()))
            }
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(|error| error.is_entity_not_found_exception()) =>
            {
                Ok((vec![], vec![]))
            }
            Err(error) => Err(anyhow::anyhow!(aws_connect::brief(&error)))
                .with_context(|| format!("BatchGetPartition {database}.{table}")),
        }
    }

    /// Asks Glue for a crawl.
    pub(crate) async fn start_crawl(&self) -> Result<Answer> {
        let crawler = &self.settings.crawler;
        match self.glue.start_crawler().name(crawler).send().await {
            Ok(_) => Ok(Answer::Started),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(|error| error.is_crawler_running_exception()) =>
            {
                Ok(Answer::AlreadyRunning)
            }
            Err(error) => Err(anyhow::anyhow!(aws_connect::brief(&error)))
                .with_context(|| format!("StartCrawler {crawler}")),
        }
    }
}

/// Returns the part of a crawler's state that decides.
fn seen(crawler: &Crawler) -> CrawlerSeen {
    let last = crawler
        .last_crawl()
        .filter(|crawl| crawl.status() == Some(&LastCrawlStatus::Succeeded));
    let succeeded = last
        .and_then(|crawl| crawl.start_time())
        .and_then(|time| (*time).try_into().ok());
    CrawlerSeen {
        is_running: crawler.state() != Some(&CrawlerState::Ready),
        succeeded,
    }
}

/// Returns the reason why the last crawl failed, if it did.
fn failure(crawler: &Crawler) -> Option<&str> {
    let last = crawler
        .last_crawl()
        .filter(|crawl| crawl.status() == Some(&LastCrawlStatus::Failed))?;
    Some(last.error_message().unwrap_or("Glue gives no reason"))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use aws_sdk_glue::primitives::DateTime;
    use aws_sdk_glue::types::LastCrawlInfo;

    use super::*;

    fn crawler(status: LastCrawlStatus, state: CrawlerState) -> Crawler {
        let last = LastCrawlInfo::builder()
            .status(status)
            .start_time(DateTime::from_secs(7))
            .error_message("no access")
            .build();
        Crawler::builder().state(state).last_crawl(last).build()
    }

    #[test]
    fn only_a_failed_crawl_has_a_reason() {
        let reason = |status| failure(&crawler(status, CrawlerState::Ready)).map(str::to_owned);
        assert_eq!(
            reason(LastCrawlStatus::Failed).as_deref(),
            Some("no access")
        );
        assert_eq!(reason(LastCrawlStatus::Succeeded), None);
        assert_eq!(reason(LastCrawlStatus::Cancelled), None);
        assert_eq!(
            failure(&Crawler::builder().build()),
            None,
            "none has run yet"
        );
    }

    #[test]
    fn only_a_crawl_that_succeeded_covers_and_only_a_ready_crawler_is_started() {
        let began = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(7));
        for (status, state, is_running, succeeded) in [
            (
                LastCrawlStatus::Succeeded,
                CrawlerState::Ready,
                false,
                began,
            ),
            (
                LastCrawlStatus::Succeeded,
                CrawlerState::Running,
                true,
                began,
            ),
            (
                LastCrawlStatus::Succeeded,
                CrawlerState::Stopping,
                true,
                began,
            ),
            (LastCrawlStatus::Failed, CrawlerState::Ready, false, None),
            (LastCrawlStatus::Cancelled, CrawlerState::Ready, false, None),
        ] {
            assert_eq!(
                seen(&crawler(status.clone(), state.clone())),
                CrawlerSeen {
                    is_running,
                    succeeded
                },
                "{status} {state}"
            );
        }
    }
}

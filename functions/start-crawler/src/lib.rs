//! Starts the Glue crawler when the catalog does not cover an object that was created.
//!
//! A message is acknowledged once the catalog covers its objects; until then it is returned as failed and comes back after the
//! queue's visibility timeout (G5). Objects in known partitions start nothing, and a batch starts at most one crawl (G6).

mod catalog;
mod handling;
mod known;
#[cfg(test)]
mod model;
mod settings;
mod want;

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use aws_config::SdkConfig;
use aws_lambda_events::sqs::SqsBatchResponse;
use function::{Deadline, EventFunction};
use lambda_runtime::Error;
use metrics::{counter, gauge};
use object_event::{Ignored, Invocation};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use catalog::Catalog;
pub use handling::CrawlOn;
use handling::{Ask, Crawl, Handling, Told};
use known::Known;
pub use settings::Settings;
use want::Want;

/// Left between Glue's last chance to answer and the deadline.
const MARGIN: Duration = Duration::from_secs(2);

/// The function: what it needs to handle one invocation after another.
pub struct StartCrawler {
    catalog: Catalog,
    crawl_on: CrawlOn,
    known: Mutex<Known>,
}

impl StartCrawler {
    /// Returns the function with its Glue client.
    pub fn new(config: &SdkConfig, settings: Settings) -> Self {
        Self { crawl_on: settings.crawl_on, catalog: Catalog::new(aws_sdk_glue::Client::new(config), settings), known: Mutex::default() }
    }

    /// Carries out what the state machine asks for.
    async fn answer(&self, ask: &Ask) -> Result<Option<Told>> {
        let asked = Instant::now();
        Ok(Some(match ask {
            Ask::Crawler => self.catalog.crawler().await?,
            Ask::Partitions(partitions) => {
                let found = self.catalog.known(partitions).await?;
                self.known.lock().unwrap_or_else(PoisonError::into_inner).learn(found.iter().copied(), asked);
                Told::Partitions(found)
            }
            Ask::Start => self.catalog.start_crawl().await?,
            Ask::Nothing => return Ok(None),
        }))
    }
}

impl EventFunction for StartCrawler {
    async fn handle(&self, payload: Value, deadline: Deadline) -> Result<SqsBatchResponse, Error> {
        let invocation = Invocation::read(payload, Want::read)?;
        let readable: Vec<usize> = (0..invocation.messages.len()).filter(|place| invocation.messages[*place].content.is_ok()).collect();
        let wants = invocation.messages.iter().filter_map(|message| Some(message.content.as_ref().ok()?.clone().sent(message.sent)));
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).fresh(Instant::now());
        let mut handling = Handling::new(self.crawl_on, wants.collect(), known);
        let until = deadline.minus(MARGIN);
        let mut trouble = String::new();
        loop {
            let answer = timeout_at(until, self.answer(handling.ask())).await.context("no answer from Glue before the deadline");
            match answer.and_then(|answer| answer) {
                Ok(Some(told)) => handling.told(told),
                Ok(None) => break,
                Err(error) => {
                    trouble = format!("{error:#}");
                    warn!(error = trouble, "the messages that are not known to be covered come back later");
                    handling.told(Told::Failed);
                }
            }
        }
        let outcome = handling.outcome();
        let not_covered = "the catalog does not cover the object yet; a crawl was asked for";
        let reason = if trouble.is_empty() { not_covered } else { &trouble };
        let mut failed: Vec<(usize, &str)> = outcome.deferred.iter().map(|place| (readable[*place], reason)).collect();
        let bad: Vec<(usize, String)> = (0..invocation.messages.len())
            .filter_map(|place| Some((place, invocation.messages[place].content.as_ref().err()?.to_string())))
            .collect();
        for (place, reason) in &bad {
            warn!(message = invocation.messages[*place].id, reason, "not an event");
            failed.push((*place, reason));
        }
        let objects: usize = handling.wants().iter().map(|want| want.objects.len()).sum();
        let ignored = Ignored::summary(handling.wants().iter().flat_map(|want| &want.ignored));
        let oldest =
            outcome.deferred.iter().flat_map(|place| &handling.wants()[*place].objects).filter_map(|object| object.created_by).min();
        let oldest = oldest.and_then(|oldest| SystemTime::now().duration_since(oldest).ok()).unwrap_or_default().as_secs();
        info!(
            messages = invocation.messages.len(),
            objects,
            deferred = outcome.deferred.len(),
            oldest_uncovered_seconds = oldest,
            bad = bad.len(),
            ignored,
            crawl = ?outcome.crawl,
            "batch handled"
        );
        counter!("Objects").increment(objects as u64);
        counter!("Ignored").increment(handling.wants().iter().map(|want| want.ignored.len() as u64).sum());
        counter!("BadMessages").increment(bad.len() as u64);
        counter!("Deferred").increment(outcome.deferred.len() as u64);
        gauge!("OldestUncoveredSeconds").set(oldest as f64);
        match outcome.crawl {
            Crawl::Started => counter!("CrawlsStarted").increment(1),
            Crawl::NotDue => counter!("CrawlsSkipped", "Reason" => "covered").increment(1),
            Crawl::Running => counter!("CrawlsSkipped", "Reason" => "running").increment(1),
            Crawl::Failed => counter!("CrawlsSkipped", "Reason" => "failed").increment(1),
        }
        Ok(invocation.respond(failed)?)
    }
}

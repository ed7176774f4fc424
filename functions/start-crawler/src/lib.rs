//! Starts the Glue crawler if the catalog does not cover an object that was created.
//!
//! A message is acknowledged once the catalog covers its objects, or they are gone. Until
//! then it is returned as failed and comes back after the queue's visibility timeout
//! (G5). Objects in known partitions start no crawl, and a batch starts at most one (G6).

mod catalog;
mod handling;
mod known;
#[cfg(test)]
mod model;
mod presence;
mod settings;
mod want;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use aws_config::SdkConfig;
use aws_lambda_events::sqs::SqsBatchResponse;
use function::{Deadline, EventFunction};
use lambda_runtime::Error;
use metrics::{counter, histogram};
use object_event::{Ignored, Invocation, Message};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use catalog::Catalog;
pub use handling::CrawlOn;
use handling::{Answer, Ask, Crawl, Handling, Outcome};
use known::Known;
use presence::Presence;
pub use settings::Settings;
use want::Want;

/// Time before the deadline at which the function stops waiting for Glue.
const GLUE_MARGIN: Duration = Duration::from_secs(2);
/// Time before the deadline at which the function stops asking S3. It is enough to start
/// a crawl, retries included.
const S3_MARGIN: Duration = Duration::from_secs(14);

/// The function, with everything that one invocation leaves for the next.
pub struct StartCrawler {
    catalog: Catalog,
    presence: Presence,
    crawl_on: CrawlOn,
    known: Mutex<Known>,
}

impl StartCrawler {
    /// Returns the function with its clients.
    pub fn new(config: &SdkConfig, settings: Settings) -> Self {
        let presence = Presence::new(aws_sdk_s3::Client::new(config));
        let crawl_on = settings.crawl_on;
        Self {
            crawl_on,
            catalog: Catalog::new(aws_sdk_glue::Client::new(config), settings),
            presence,
            known: Mutex::default(),
        }
    }

    /// Answers a question of the state machine.
    async fn answer(&self, ask: &Ask, deadline: Deadline) -> Result<Option<Answer>> {
        let asked = Instant::now();
        Ok(Some(match ask {
            Ask::Crawler => self.catalog.crawler().await?,
            Ask::Partitions(partitions) => {
                let found = self.catalog.known(partitions).await?;
                self.known
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .learn(found.iter().copied(), asked);
                Answer::Partitions(found)
            }
            Ask::Objects(objects) => {
                Answer::Gone(self.presence.gone(objects, deadline.minus(S3_MARGIN)).await)
            }
            Ask::Start => self.catalog.start_crawl().await?,
            Ask::Nothing => return Ok(None),
        }))
    }
}

impl EventFunction for StartCrawler {
    type Answer = SqsBatchResponse;

    async fn handle(&self, payload: Value, deadline: Deadline) -> Result<SqsBatchResponse, Error> {
        let invocation = Invocation::read(payload, Want::read)?;
        let want = |(place, message): (usize, &Message<Want>)| {
            let want = message.content.as_ref().ok()?.clone();
            Some((place, want.received(message.sent, message.receives)))
        };
        let wants = invocation
            .messages
            .iter()
            .enumerate()
            .filter_map(want)
            .collect();
        let known = self
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .fresh(Instant::now());
        let mut handling = Handling::new(self.crawl_on, wants, known);
        let until = deadline.minus(GLUE_MARGIN);
        let mut trouble = String::new();
        loop {
            let answer = timeout_at(until, self.answer(handling.ask(), deadline))
                .await
                .context("no answer from Glue before the deadline");
            match answer.and_then(|answer| answer) {
                Ok(Some(answer)) => handling.answered(answer),
                Ok(None) => break,
                Err(error) => {
                    trouble = format!("{error:#}");
                    warn!(
                        error = trouble,
                        "messages come back later if their objects are not known to be covered"
                    );
                    handling.answered(Answer::Failed);
                }
            }
        }
        let outcome = handling.outcome();
        report(&handling, &outcome);
        let not_covered = "the catalog does not cover the object yet";
        let reason = if trouble.is_empty() {
            not_covered
        } else {
            &trouble
        };
        let mut failed: BTreeMap<usize, String> = outcome
            .deferred
            .iter()
            .map(|place| (*place, reason.to_owned()))
            .collect();
        for (place, message) in invocation.messages.iter().enumerate() {
            if let Err(reason) = &message.content {
                counter!("BadMessages").increment(1);
                warn!(message = message.id, %reason, "not an event");
                failed.insert(place, reason.to_string());
            }
        }
        Ok(invocation.respond(
            failed
                .iter()
                .map(|(place, reason)| (*place, reason.as_str())),
        )?)
    }
}

/// Logs and counts the decisions about the readable messages.
fn report(handling: &Handling, outcome: &Outcome) {
    let wants = handling.wants();
    let deferred = outcome.deferred.len();
    let objects: usize = wants.values().map(|want| want.objects.len()).sum();
    let waiting = || {
        outcome
            .deferred
            .iter()
            .flat_map(|place| &wants[place].objects)
    };
    let oldest = waiting()
        .filter_map(|object| SystemTime::now().duration_since(object.created_by?).ok())
        .max()
        .unwrap_or_default()
        .as_secs();
    let ignored: Vec<&Ignored> = wants.values().flat_map(|want| &want.ignored).collect();
    info!(
        messages = wants.len(),
        objects,
        deferred,
        gone = handling.gone().len(),
        oldest_uncovered_seconds = oldest,
        ignored = Ignored::summary(ignored.iter().copied()),
        crawl = ?outcome.crawl,
        "batch handled"
    );
    counter!("Objects").increment(objects as u64);
    counter!("Ignored").increment(ignored.len() as u64);
    counter!("Deferred").increment(deferred as u64);
    histogram!("OldestUncoveredSeconds").record(oldest as f64);
    match outcome.crawl {
        Crawl::Started => counter!("CrawlsStarted").increment(1),
        Crawl::NotDue => counter!("CrawlsSkipped", "Reason" => "covered").increment(1),
        Crawl::PassedOver => {
            let key = waiting().next().map(|wanted| wanted.object.key.as_str());
            warn!(
                key,
                "no crawl is started: one has succeeded since the message was sent, \
                 and has added no partition for the object"
            );
            counter!("CrawlsSkipped", "Reason" => "passed-over").increment(1);
        }
        Crawl::Running => counter!("CrawlsSkipped", "Reason" => "running").increment(1),
        Crawl::Failed => counter!("CrawlsSkipped", "Reason" => "failed").increment(1),
    }
}

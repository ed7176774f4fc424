//! Starts the Glue crawler when an object lies in a partition that the catalog does not know yet.
//!
//! A message is acknowledged once the catalog covers its object's partition; until then it is returned as failed and comes back after the
//! queue's visibility timeout (G5). Objects in known partitions start nothing, and a batch starts at most one crawl (G6).

mod catalog;
mod plan;
mod settings;

use std::collections::BTreeSet;

use anyhow::Result;
use aws_lambda_events::sqs::SqsBatchResponse;
use lambda_runtime::Error;
use object_event::Invocation;
use serde_json::Value;
use tracing::{info, warn};

use catalog::Catalog;
pub use catalog::CrawlStart;
use plan::{Plan, Want};
pub use settings::Settings;

/// The function: what it needs to handle one invocation after another.
pub struct StartCrawler {
    catalog: Catalog,
}

impl StartCrawler {
    /// Returns the function with its Glue client.
    pub fn new(glue: aws_sdk_glue::Client, settings: Settings) -> Self {
        Self { catalog: Catalog::new(glue, settings) }
    }

    /// Handles one Lambda payload and returns the messages to be redelivered.
    ///
    /// # Errors
    /// The payload is an event on its own (not an SQS batch) that failed.
    pub async fn handle(&self, payload: Value) -> Result<SqsBatchResponse, Error> {
        let invocation = Invocation::read(payload)?;
        let wants: Vec<Want> = invocation.messages.iter().map(Want::of).collect();
        let partitions: BTreeSet<_> = wants.iter().flat_map(Want::partitions).copied().collect();
        let plan = match self.catalog.known(&partitions).await {
            Ok(known) => Plan::new(&wants, &known),
            Err(error) => {
                warn!(error = format!("{error:#}"), "cannot look into the catalog, the messages come back later");
                Plan::look_up_failed(&wants)
            }
        };
        if plan.start_crawl {
            match self.catalog.start_crawl().await {
                Ok(CrawlStart::Started) => info!(deferred = plan.deferred.len(), "crawl started"),
                Ok(CrawlStart::AlreadyRunning) => info!(deferred = plan.deferred.len(), "a crawl is running, the messages come back later"),
                Err(error) => warn!(error = format!("{error:#}"), "cannot start the crawler, the messages come back later"),
            }
        }
        for (place, reason) in &plan.failed {
            warn!(message = invocation.messages[*place].id, reason, "not an event");
        }
        info!(
            messages = wants.len(),
            partitions = partitions.len(),
            covered = plan.covered,
            deferred = plan.deferred.len(),
            "batch handled"
        );
        let not_covered =
            plan.deferred.iter().map(|place| (*place, "the catalog does not cover the object's partition yet; a crawl was asked for"));
        let failed = plan.failed.iter().map(|(place, reason)| (*place, reason.as_str()));
        Ok(invocation.respond(failed.chain(not_covered))?)
    }
}

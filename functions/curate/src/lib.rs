//! Turns the raw objects of closed hours into sorted files and bars.
//!
//! The function gets two kinds of events. A schedule sends `{"plan": {…}}`: the function
//! looks at the hours of the last days, and carries out the steps that
//! [`curation::planner`] decides. The queue of units of work sends tasks: the function reads
//! the objects of a task's hour and creates the files of its unit, as [`curation::worker`]
//! decides. Both do nothing that is done already, so any event may come twice, late, or at
//! the same time as another.

mod event;
mod planning;
mod queue;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use aws_config::SdkConfig;
use aws_lambda_events::sqs::SqsBatchResponse;
use curation::Task;
use curator::{Catalog, Effects, LakeBucket, Summary, Worker};
use function::{Deadline, EventFunction};
use lambda_runtime::Error;
use metrics::counter;
use object_event::{Invocation, Message};
use serde::Serialize;
use serde_json::Value;
use tracing::warn;

use event::PlanEvent;
use planning::Look;
use queue::Queue;
pub use settings::Settings;

/// The function with its clients.
pub struct Curate {
    effects: Arc<Effects>,
    queue: Queue,
    settings: Settings,
}

/// The answer to an event.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// To a plan event.
    Plan(Summary),
    /// To a batch of tasks.
    Batch(SqsBatchResponse),
}

impl Curate {
    /// Returns the function with its clients.
    pub fn new(config: &SdkConfig, settings: Settings) -> Self {
        let Settings {
            bucket,
            database,
            queue_url,
            ..
        } = settings.clone();
        let effects = Arc::new(Effects {
            bucket: LakeBucket::new(config, bucket.clone(), false),
            catalog: Catalog::new(config, database, bucket),
        });
        let queue = Queue::new(config, queue_url, Arc::clone(&effects));
        Self {
            effects,
            queue,
            settings,
        }
    }

    /// Carries out the task of a message.
    async fn carry_out(&self, message: &Message<String>) -> Result<()> {
        let body = message.content.as_ref().map_err(Clone::clone)?;
        let task = Task::from_json(body).inspect_err(|_| counter!("BadMessages").increment(1))?;
        let worker = Worker {
            effects: &self.effects,
            max_rows: self.settings.max_rows,
        };
        worker.work(&task, message.receives).await
    }
}

impl EventFunction for Curate {
    type Answer = Answer;
    const TIMEOUT: Duration = Duration::from_secs(300);

    async fn handle(&self, payload: Value, deadline: Deadline) -> Result<Answer, Error> {
        if let Some(event) = PlanEvent::read(&payload)? {
            let look = Look {
                effects: &self.effects,
                queue: &self.queue,
                settings: &self.settings,
            };
            let summary = look.plan(event, deadline).await;
            let summary = summary.inspect_err(|error| {
                let error = format!("{error:#}");
                warn!(event = "plan_failed", error, "the next look tries again");
            });
            return Ok(Answer::Plan(summary?));
        }
        let invocation = Invocation::read(payload, |text| Ok(text.to_owned()))?;
        let mut failed = Vec::new();
        for (place, message) in invocation.messages.iter().enumerate() {
            if let Err(error) = self.carry_out(message).await {
                let error = format!("{error:#}");
                warn!(
                    event = "unit_failed",
                    message = message.id,
                    error,
                    "the message comes back later"
                );
                failed.push((place, error));
            }
        }
        let failed = failed
            .iter()
            .map(|(place, reason)| (*place, reason.as_str()));
        Ok(Answer::Batch(invocation.respond(failed)?))
    }
}

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use aws_config::SdkConfig;
use lambda_runtime::{Diagnostic, Error, LambdaEvent, service_fn};
use serde::Serialize;
use serde_json::Value;
use tracing::level_filters::LevelFilter;

use crate::{Deadline, metering};

/// Limit of each attempt of each AWS call. The SDK retries within the invocation's
/// deadline.
const AWS_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);

/// A function that handles events, in batches from a queue or on their own.
pub trait EventFunction {
    /// The answer to an event. That to a batch of SQS names the messages that SQS has to
    /// deliver again.
    type Answer: Serialize;
    /// The function's `Timeout` in template.yaml.
    const TIMEOUT: Duration = Duration::from_secs(30);

    /// Handles one Lambda payload before the deadline.
    ///
    /// # Errors
    /// The payload is an event on its own, not an SQS batch, and failed.
    fn handle(
        &self,
        payload: Value,
        deadline: Deadline,
    ) -> impl Future<Output = Result<Self::Answer, Error>>;
}

/// Reads the settings, creates the function with its AWS clients, and serves invocations
/// until Lambda ends the process. A function that cannot start logs the reason in one
/// line and exits at once.
pub async fn run<S, F: EventFunction>(
    settings: impl FnOnce() -> Result<S>,
    make: impl FnOnce(&SdkConfig, S) -> F,
) -> ExitCode {
    // The request id is in the span.
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_target(false)
        .with_span_list(false)
        .with_max_level(level())
        .init();
    match serve(settings, make).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve<S, F: EventFunction>(
    settings: impl FnOnce() -> Result<S>,
    make: impl FnOnce(&SdkConfig, S) -> F,
) -> Result<(), Error> {
    let settings = settings()?;
    let collector =
        metering::start(&std::env::var("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_default())?;
    let function = &make(&aws_connect::load(AWS_ATTEMPT_TIMEOUT).await, settings);
    let handle = |event: LambdaEvent<Value>| async move {
        let deadline = Deadline::of(&event.context, F::TIMEOUT);
        let answer = Box::pin(function.handle(event.payload, deadline)).await;
        metering::flush(collector, &event.context.request_id);
        answer.map_err(|error| Diagnostic {
            error_type: "EventFailed".to_owned(),
            error_message: error.to_string(),
        })
    };
    lambda_runtime::run(service_fn(handle)).await
}

/// Returns the level of Lambda's logging controls, or of `RUST_LOG` outside Lambda, or
/// info if neither is set.
fn level() -> LevelFilter {
    let name = std::env::var("AWS_LAMBDA_LOG_LEVEL").or_else(|_| std::env::var("RUST_LOG"));
    // Lambda has one more level.
    name.ok()
        .filter(|name| !name.is_empty())
        .and_then(|name| name.replace("FATAL", "ERROR").parse().ok())
        .unwrap_or(LevelFilter::INFO)
}

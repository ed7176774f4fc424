use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, anyhow};
use aws_sdk_sns::Client;
use aws_sdk_sns::config::retry::RetryConfig;
use aws_sdk_sns::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_sns::operation::publish::PublishError;
use aws_sdk_sns::types::MessageAttributeValue;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::warn;

use crate::Digest;

/// The wait after each attempt to publish. Two functions run at a time
/// (`MaximumConcurrency` of the queue in template.yaml), and each waits so long after an
/// attempt before it makes another or ends: never more than a mail a second (G7).
const PUBLISH_INTERVAL: Duration = Duration::from_secs(2);

/// Publishes digests to the topic.
pub(crate) struct Publisher {
    sns: Client,
    topic_arn: String,
    /// When the next attempt may be made.
    next: Mutex<Instant>,
}

impl Publisher {
    pub(crate) fn new(config: &aws_config::SdkConfig, topic_arn: String) -> Self {
        // An attempt whose answer is lost may have been a mail: the SDK's own retries
        // would come faster than the hold.
        let config = aws_sdk_sns::config::Builder::from(config)
            .retry_config(RetryConfig::disabled())
            .build();
        Self {
            sns: Client::from_conf(config),
            topic_arn,
            next: Mutex::new(Instant::now()),
        }
    }

    /// Publishes a digest. After an error that may pass (throttling, 5xx, no answer) it
    /// tries again until `until`; a first attempt is always made.
    ///
    /// # Errors
    /// SNS refuses the digest, or the time is up.
    pub(crate) async fn publish(&self, digest: &Digest, until: Instant) -> Result<()> {
        loop {
            self.hold().await;
            let attempt = self.attempt(digest).await;
            let next = Instant::now() + PUBLISH_INTERVAL;
            *self.next.lock().unwrap_or_else(PoisonError::into_inner) = next;
            let Err(error) = attempt else { return Ok(()) };
            let reason = self.explain(&error);
            if !may_pass(&error) || next >= until {
                return Err(anyhow!(reason));
            }
            warn!(event = "retrying", reason, "cannot publish, trying again");
        }
    }

    /// Shows how many confirmed subscriptions the topic has: an alarm tells when one has
    /// vanished. Takes no longer than the hold.
    pub(crate) async fn count_subscriptions(&self) {
        let asked = self
            .sns
            .get_topic_attributes()
            .topic_arn(&self.topic_arn)
            .send();
        let error = match timeout(PUBLISH_INTERVAL, asked).await {
            Err(_) => "no answer".to_owned(),
            Ok(Err(error)) => aws_connect::brief(&error),
            Ok(Ok(answer)) => {
                let confirmed = answer
                    .attributes()
                    .and_then(|attributes| attributes.get("SubscriptionsConfirmed"));
                if let Some(confirmed) =
                    confirmed.and_then(|confirmed| confirmed.parse::<u32>().ok())
                {
                    metrics::histogram!("Subscriptions").record(f64::from(confirmed));
                }
                return;
            }
        };
        warn!(error, "cannot count the topic's subscriptions");
    }

    /// Waits until the next attempt may be made. An invocation ends with it, too: after
    /// it Lambda may run another.
    pub(crate) async fn hold(&self) {
        let next = *self.next.lock().unwrap_or_else(PoisonError::into_inner);
        sleep_until(next).await;
    }

    async fn attempt(&self, digest: &Digest) -> Result<(), SdkError<PublishError>> {
        let mut publish = self
            .sns
            .publish()
            .topic_arn(&self.topic_arn)
            .subject(&digest.subject)
            .message(&digest.body);
        for attribute in &digest.attributes {
            let value = MessageAttributeValue::builder()
                .data_type(attribute.data_type())
                .string_value(attribute.value())
                .build();
            publish = publish.message_attributes(
                attribute.name,
                value.map_err(SdkError::construction_failure)?,
            );
        }
        publish.send().await.map(|_| ())
    }

    fn explain(&self, error: &SdkError<PublishError>) -> String {
        let topic = &self.topic_arn;
        if error
            .as_service_error()
            .is_some_and(PublishError::is_not_found_exception)
        {
            return format!(
                "the topic {topic} does not exist; deploy the stack again, the messages wait in \
                 their queue until then"
            );
        }
        format!("Publish to {topic}: {}", aws_connect::brief(error))
    }
}

/// Returns true for an error that may pass by itself: no answer, a server's error,
/// throttling.
fn may_pass(error: &SdkError<PublishError>) -> bool {
    let status = error
        .raw_response()
        .map(|response| response.status().as_u16());
    let code = error
        .as_service_error()
        .and_then(|error| error.code())
        .unwrap_or_default();
    !matches!(error, SdkError::ConstructionFailure(_))
        && status.is_none_or(|status| status >= 500 || status == 429)
        || code.contains("Throttl")
}

#[cfg(test)]
mod tests {
    use aws_sdk_sns::error::ErrorMetadata;
    use aws_smithy_runtime_api::http::{Response, StatusCode};

    use super::*;

    #[test]
    fn what_may_pass_is_tried_again_and_what_cannot_is_not() {
        let answer = |status: u16, code: &str| {
            let status = StatusCode::try_from(status).expect("a status");
            let error = PublishError::generic(ErrorMetadata::builder().code(code).build());
            SdkError::service_error(error, Response::new(status, "".into()))
        };
        for (status, code, wanted) in [
            (500, "InternalError", true),
            (503, "ServiceUnavailable", true),
            (429, "TooManyRequests", true),
            (400, "Throttling", true),
            (400, "ThrottledException", true),
            (400, "InvalidParameter", false),
            (403, "AuthorizationError", false),
            (404, "NotFound", false),
        ] {
            assert_eq!(may_pass(&answer(status, code)), wanted, "{status} {code}");
        }
        assert!(may_pass(&SdkError::timeout_error("no answer")));
        assert!(!may_pass(&SdkError::construction_failure(
            "an attribute without a type"
        )));
    }
}

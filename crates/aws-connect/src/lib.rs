//! The configuration with which every part of ticklake reaches AWS: the SDK's own rules
//! for credentials and endpoints (`AWS_ENDPOINT_URL` points at a local stack), https with
//! ring, and a time limit on every call.

use std::time::Duration;

pub use aws_config::SdkConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader};
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

/// Returns the configuration from which clients are created. `attempt_timeout` limits
/// each attempt of each call.
pub async fn load(attempt_timeout: Duration) -> SdkConfig {
    loader(attempt_timeout).load().await
}

/// Returns the loader behind [`load`], for callers that set region, endpoint or
/// credentials themselves.
pub fn loader(attempt_timeout: Duration) -> ConfigLoader {
    let https = aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
        .build_https();
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .operation_attempt_timeout(attempt_timeout)
        .build();
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(https)
        .timeout_config(timeouts)
}

/// Returns an SDK error in one line: the service's answer, or the reason why there is
/// none.
pub fn brief<E, R>(error: &SdkError<E, R>) -> String
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
    R: std::fmt::Debug + 'static,
{
    match error.as_service_error() {
        Some(answer) => match (answer.code(), answer.message()) {
            (Some(code), Some(message)) => format!("{code}: {message}"),
            (Some(code), None) => code.to_owned(),
            _ => answer.to_string(),
        },
        None => match (error, std::env::var("AWS_ENDPOINT_URL")) {
            (SdkError::DispatchFailure(_), Ok(url)) => {
                format!(
                    "no answer from AWS_ENDPOINT_URL={url} ({}); \
                     to start a local stack, run: cargo xtask up",
                    innermost(error)
                )
            }
            _ => innermost(error),
        },
    }
}

/// Returns whether a service answered with this HTTP status.
pub fn has_status<E>(error: &SdkError<E, HttpResponse>, status: u16) -> bool {
    matches!(error, SdkError::ServiceError(error) if error.raw().status().as_u16() == status)
}

fn innermost(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), innermost)
}

//! How every part of ticklake reaches AWS: the SDK's own credential and endpoint rules (`AWS_ENDPOINT_URL` points at a local
//! stack), https with ring, and a time limit on every call.

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, SdkConfig};
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};

/// Returns the configuration that clients are made from. `attempt_timeout` bounds one attempt of one call, retries get one each.
pub async fn load(attempt_timeout: Duration) -> SdkConfig {
    loader(attempt_timeout).load().await
}

/// Returns what [`load`] loads, for callers that know region, endpoint or credentials themselves.
pub fn loader(attempt_timeout: Duration) -> ConfigLoader {
    let https = aws_smithy_http_client::Builder::new().tls_provider(tls::Provider::Rustls(CryptoMode::Ring)).build_https();
    let timeouts = TimeoutConfig::builder().connect_timeout(Duration::from_secs(3)).operation_attempt_timeout(attempt_timeout).build();
    aws_config::defaults(BehaviorVersion::latest()).http_client(https).timeout_config(timeouts)
}

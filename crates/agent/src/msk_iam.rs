use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_config::SdkConfig;
use aws_sdk_ssm::config::{Credentials, ProvideCredentials as _};
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use form_urlencoded::Serializer;
use rdkafka::client::OAuthToken;

use crate::aws;

/// How long fetching the credentials may take.
const CREDENTIALS_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a token is good; brokers take none that is good for longer.
const LIFETIME: Duration = Duration::from_secs(900);
/// Brokers log it.
const USER_AGENT: &str = concat!("ticklake/", env!("CARGO_PKG_VERSION"));

/// Returns a token by which an MSK cluster knows this machine's role.
///
/// librdkafka asks for it in a callback that is not async, maybe on a thread of a
/// runtime; fetching credentials is async, so it has a thread of its own.
///
/// # Errors
/// There are no credentials, or no region.
pub(crate) fn token() -> Result<OAuthToken, String> {
    aws::block_on(async |config| {
        let region = config.region().ok_or("no region: set AWS_REGION")?;
        sign_token(
            region.as_ref(),
            credentials(&config).await?,
            SystemTime::now(),
        )
    })
}

async fn credentials(config: &SdkConfig) -> Result<Credentials, String> {
    let provider = config.credentials_provider().ok_or("no credentials")?;
    tokio::time::timeout(CREDENTIALS_TIMEOUT, provider.provide_credentials())
        .await
        .map_err(|_| "no credentials in time")?
        .map_err(|error| error.to_string())
}

/// Signs a token: the URL of a `kafka-cluster:Connect`, presigned by AWS Signature Version
/// 4, in base64 (aws-msk-iam-auth, "Details").
fn sign_token(
    region: &str,
    credentials: Credentials,
    now: SystemTime,
) -> Result<OAuthToken, String> {
    let host = format!("https://kafka.{region}.amazonaws.com/?");
    let query = host.len();
    let mut url = Serializer::for_suffix(host, query)
        .append_pair("Action", "kafka-cluster:Connect")
        .finish();

    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(LIFETIME);
    let identity = credentials.into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("kafka-cluster")
        .time(now)
        .settings(settings)
        .build()
        .map_err(|error| error.to_string())?
        .into();
    let no_headers = std::iter::empty();
    let signature = SignableRequest::new("GET", &url, no_headers, SignableBody::Bytes(&[]))
        .and_then(|request| sign(request, &params))
        .map_err(|error| error.to_string())?;
    url = Serializer::for_suffix(url, query)
        .extend_pairs(signature.output().params())
        .append_pair("User-Agent", USER_AGENT)
        .finish();

    // The signature knows whole seconds.
    let since_epoch = now.duration_since(UNIX_EPOCH);
    let signed_at = since_epoch.map_err(|error| error.to_string())?.as_secs();
    Ok(OAuthToken {
        token: BASE64_URL_SAFE_NO_PAD.encode(url),
        principal_name: String::new(),
        lifetime_ms: 1000 * (signed_at + LIFETIME.as_secs()).cast_signed(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected signature is that of botocore's `SigV4QueryAuth` for the same request.
    #[test]
    fn a_token_is_a_presigned_connect_with_the_signature_that_botocore_makes() {
        let credentials = Credentials::new(
            "AKID",
            "secret",
            Some("session+/=".to_owned()),
            None,
            "test",
        );
        // 2026-01-02 03:04:05.678 UTC.
        let now = UNIX_EPOCH + Duration::from_millis(1_767_323_045_678);
        let token = sign_token("eu-central-1", credentials, now).expect("a token");
        let url = BASE64_URL_SAFE_NO_PAD.decode(token.token).expect("base64");
        assert_eq!(
            String::from_utf8(url).expect("UTF-8"),
            concat!(
                "https://kafka.eu-central-1.amazonaws.com/?Action=kafka-cluster%3AConnect",
                "&X-Amz-Algorithm=AWS4-HMAC-SHA256",
                "&X-Amz-Credential=AKID%2F20260102%2Feu-central-1%2Fkafka-cluster%2Faws4_request",
                "&X-Amz-Date=20260102T030405Z",
                "&X-Amz-Expires=900",
                "&X-Amz-SignedHeaders=host",
                "&X-Amz-Signature=109ff20f2cf39859aadbe00ca7ce3aa2b5f84b8e2586c9c7bee255ee4833e27d",
                "&X-Amz-Security-Token=session%2B%2F%3D",
                "&User-Agent=ticklake%2F0.1.0"
            )
        );
        assert_eq!(token.lifetime_ms, 1_767_323_045_000 + 900_000);
    }
}

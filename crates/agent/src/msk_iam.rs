use std::time::Duration;

use aws_config::SdkConfig;
use aws_msk_iam_sasl_signer::generate_auth_token_from_credentials_provider;
use rdkafka::client::OAuthToken;

use crate::aws;

/// How long signing may take; the credentials may have to be fetched first.
const SIGNING_TIMEOUT: Duration = Duration::from_secs(10);

/// Returns a token by which an MSK cluster knows this machine's role.
///
/// librdkafka asks for it in a callback that is not async, maybe on a thread of a
/// runtime; signing is async, so it has a thread of its own.
///
/// # Errors
/// There are no credentials, or no region.
pub(crate) fn token() -> Result<OAuthToken, String> {
    aws::block_on(async |config| sign(&config).await)
}

/// Signs a token that is good for 15 minutes: a presigned `kafka-cluster:Connect` of AWS
/// Signature Version 4, in base64 (aws-msk-iam-auth, "Details").
async fn sign(config: &SdkConfig) -> Result<OAuthToken, String> {
    let region = config
        .region()
        .cloned()
        .ok_or("no region: set AWS_REGION")?;
    let credentials = config.credentials_provider().ok_or("no credentials")?;
    let signing = tokio::time::timeout(
        SIGNING_TIMEOUT,
        generate_auth_token_from_credentials_provider(region, credentials),
    );
    let (token, lifetime_ms) = signing
        .await
        .map_err(|_| "no credentials in time")?
        .map_err(|error| error.to_string())?;
    Ok(OAuthToken {
        token,
        principal_name: String::new(),
        lifetime_ms,
    })
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use aws_config::{BehaviorVersion, Region};
    use aws_sdk_ssm::config::{Credentials, SharedCredentialsProvider};
    use base64::Engine as _;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;

    use super::*;

    #[tokio::test]
    async fn a_token_is_a_presigned_connect_of_the_role() {
        let credentials =
            Credentials::new("AKID", "secret", Some("session".to_owned()), None, "test");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build();
        let token = sign(&config).await.expect("a token");
        let url = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(&token.token).expect("base64"))
            .expect("UTF-8");
        let (host, query) = url.split_once('?').expect("a query");
        assert_eq!(host, "https://kafka.eu-central-1.amazonaws.com/");
        let has = |name: &str, begins: &str| {
            query.split('&').any(|pair| {
                pair.strip_prefix(name)
                    .is_some_and(|value| value.starts_with(begins))
            })
        };
        assert!(has("Action=", "kafka-cluster%3AConnect"), "{url}");
        assert!(
            has("X-Amz-Algorithm=", "AWS4-HMAC-SHA256") && has("X-Amz-Expires=", "900"),
            "{url}"
        );
        assert!(
            has("X-Amz-Credential=", "AKID%2F")
                && query.contains("%2Feu-central-1%2Fkafka-cluster%2Faws4_request"),
            "{url}"
        );
        assert!(
            has("X-Amz-Security-Token=", "session")
                && has("X-Amz-SignedHeaders=", "host")
                && has("User-Agent=", ""),
            "{url}"
        );
        let signature = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("X-Amz-Signature="))
            .expect("a signature");
        assert!(
            signature.len() == 64 && signature.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{signature}"
        );
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("a clock")
            .as_millis() as i64;
        assert!(
            (880_000..=900_000).contains(&(token.lifetime_ms - now)),
            "good for {} ms",
            token.lifetime_ms - now
        );
    }
}

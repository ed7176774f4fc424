use std::time::Duration;

use aws_msk_iam_sasl_signer::generate_auth_token_from_credentials_provider;
use rdkafka::client::OAuthToken;

use crate::aws;

/// How long signing may take; the credentials may have to be fetched first.
const PATIENCE: Duration = Duration::from_secs(10);

/// Returns a token by which an MSK cluster knows this machine's role, good for 15 minutes: a presigned `kafka-cluster:Connect` of AWS Signature Version 4, in base64.
///
/// librdkafka asks for it in a callback that is not async, maybe on a thread of a runtime; signing is async, so it has a thread of its own.
///
/// # Errors
/// There are no credentials, or no region.
pub(crate) fn token() -> Result<OAuthToken, String> {
    aws::block_on(async |config| {
        let region = config.region().cloned().ok_or("no region: set AWS_REGION")?;
        let credentials = config.credentials_provider().ok_or("no credentials")?;
        let signing = tokio::time::timeout(PATIENCE, generate_auth_token_from_credentials_provider(region, credentials));
        let (token, lifetime_ms) = signing.await.map_err(|_| "no credentials in time")?.map_err(|error| error.to_string())?;
        Ok(OAuthToken { token, principal_name: String::new(), lifetime_ms })
    })
}

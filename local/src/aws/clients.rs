use std::time::Duration;

use anyhow::{Context as _, Result};
use aws_config::{Region, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};

/// Region of the local AWS.
pub const REGION: &str = "us-east-1";
/// Access key and secret of the local AWS's root.
const ROOT_KEY: &str = "test";

/// The local AWS for its clients.
#[derive(Debug, Clone)]
pub struct Aws {
    endpoint: String,
    key: String,
    secret: String,
    config: SdkConfig,
}

impl Aws {
    /// Returns root's clients of the local AWS at an endpoint.
    pub async fn at(endpoint: &str) -> Self {
        Self::with_key(endpoint, ROOT_KEY, ROOT_KEY).await
    }

    /// Returns the clients of a user of the same local AWS, by the user's access key.
    pub async fn of_user(&self, key: &str, secret: &str) -> Self {
        Self::with_key(&self.endpoint, key, secret).await
    }

    async fn with_key(endpoint: &str, key: &str, secret: &str) -> Self {
        let credentials = Credentials::new(key, secret, None, None, "local");
        let loader = aws_connect::loader(Duration::from_secs(20)).endpoint_url(endpoint);
        let loader = loader
            .region(Region::new(REGION))
            .credentials_provider(SharedCredentialsProvider::new(credentials));
        Self {
            endpoint: endpoint.to_owned(),
            key: key.to_owned(),
            secret: secret.to_owned(),
            config: loader.load().await,
        }
    }

    /// Returns the endpoint's URL.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Returns the configuration for SDK clients.
    pub fn config(&self) -> &SdkConfig {
        &self.config
    }

    /// Creates a bucket.
    ///
    /// # Errors
    /// S3 refuses.
    pub async fn create_bucket(&self, name: &str) -> Result<()> {
        aws_sdk_s3::Client::new(&self.config)
            .create_bucket()
            .bucket(name)
            .send()
            .await
            .with_context(|| format!("CreateBucket {name}"))?;
        Ok(())
    }

    /// Returns the environment with which programs with an AWS SDK reach the local AWS.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT_URL", self.endpoint.clone()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_DEFAULT_REGION", REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", self.key.clone()),
            ("AWS_SECRET_ACCESS_KEY", self.secret.clone()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ]
    }
}

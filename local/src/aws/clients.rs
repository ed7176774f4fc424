use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use aws_config::{Region, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::aws::call::Caller;
use crate::{CallError, Repository};

/// Region of the local AWS.
pub const REGION: &str = "us-east-1";
/// Access key and secret of the local AWS's root.
const ROOT_KEY: &str = "test";
/// The Python of the tools; without them there is no local AWS.
const PYTHON: &str = ".tools/venv/bin/python";

/// The local AWS for its clients.
#[derive(Debug, Clone)]
pub struct Aws {
    endpoint: String,
    key: String,
    secret: String,
    config: SdkConfig,
    caller: Arc<Mutex<Option<Caller>>>,
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
            caller: Arc::default(),
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

    /// Calls an operation for which this workspace has no client, such as `ec2
    /// describe_volumes`; returns its answer.
    ///
    /// # Errors
    /// AWS refuses, or the tools are not installed.
    pub async fn call(
        &self,
        service: &str,
        operation: &str,
        parameters: &Value,
    ) -> Result<Value, CallError> {
        let mut idle = self.caller.lock().await;
        // If this future is dropped, so is the caller: an answer may be left in its pipe.
        let mut caller = match idle.take() {
            Some(caller) => caller,
            None => {
                let python = Repository::here().path(PYTHON);
                Caller::start(&python, self.environment())?
            }
        };
        let answer = caller.call(service, operation, parameters).await;
        *idle = Some(caller);
        answer
    }

    /// Calls an operation for each page of its answer; returns the pages.
    ///
    /// # Errors
    /// As for [`Aws::call`].
    pub async fn call_pages(
        &self,
        service: &str,
        operation: &str,
        mut parameters: Value,
    ) -> Result<Vec<Value>, CallError> {
        let mut pages = Vec::new();
        loop {
            let mut page = self.call(service, operation, &parameters).await?;
            let next = page["NextToken"].take();
            pages.push(page);
            if next.is_null() {
                return Ok(pages);
            }
            parameters["NextToken"] = next;
        }
    }

    /// Invokes a deployed function and returns its answer.
    ///
    /// # Errors
    /// There is no such function, or it ended with an error.
    pub async fn invoke(&self, function: &str, event: &Value) -> Result<Value> {
        let parameters = json!({"FunctionName": function, "Payload": event.to_string()});
        let answer = self.call("lambda", "invoke", &parameters).await?;
        let payload = answer["Payload"].as_str().context("no payload")?;
        ensure!(
            answer.get("FunctionError").is_none(),
            "{function} ended with {payload}"
        );
        serde_json::from_str(payload).with_context(|| format!("{function} answered {payload}"))
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

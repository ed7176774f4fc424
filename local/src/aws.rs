use std::sync::Arc;
use std::time::Duration;

use aws_config::{Region, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use serde_json::Value;
use tokio::sync::Mutex;

use crate::aws_call::Caller;
use crate::{CallError, Repository};

/// Region of the local AWS.
const REGION: &str = "us-east-1";
/// Access key and secret of the local AWS's root.
const KEY: &str = "test";
/// The Python of the tools; without them there is no local AWS.
const PYTHON: &str = ".tools/venv/bin/python";

/// The local AWS as its clients see it.
#[derive(Debug, Clone)]
pub struct Aws {
    endpoint: String,
    config: SdkConfig,
    caller: Arc<Mutex<Option<Caller>>>,
}

impl Aws {
    /// Returns clients of the local AWS at an endpoint.
    pub async fn at(endpoint: &str) -> Self {
        let credentials = Credentials::new(KEY, KEY, None, None, "local");
        let loader = aws_connect::loader(Duration::from_secs(20)).endpoint_url(endpoint);
        let loader = loader
            .region(Region::new(REGION))
            .credentials_provider(SharedCredentialsProvider::new(credentials));
        Self {
            endpoint: endpoint.to_owned(),
            config: loader.load().await,
            caller: Arc::default(),
        }
    }

    /// Returns the endpoint's URL.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Returns the configuration that SDK clients are made from.
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
        // If the call is cancelled, its caller goes with it.
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

    /// Returns the environment with which any program that uses an AWS SDK reaches the
    /// local AWS.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT_URL", self.endpoint.clone()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_DEFAULT_REGION", REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", KEY.to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ]
    }
}

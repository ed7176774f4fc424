use local::{CallError, Tools};
use serde_json::Value;

/// AWS as the person who runs the command reaches it: the credentials, region and
/// endpoint of the environment.
pub(super) struct Account {
    tools: Tools,
    environment: Vec<(&'static str, String)>,
}

impl Account {
    pub(super) fn new(tools: Tools, region: Option<String>) -> Self {
        // boto3 does not read AWS_REGION.
        let region = region.or_else(|| std::env::var("AWS_REGION").ok());
        let region = region.filter(|region| !region.is_empty());
        let environment = region.map(|region| ("AWS_DEFAULT_REGION", region));
        Self {
            tools,
            environment: environment.into_iter().collect(),
        }
    }

    /// Calls an operation.
    pub(super) async fn call(
        &self,
        service: &str,
        operation: &str,
        parameters: Value,
    ) -> Result<Value, CallError> {
        let environment = self.environment.iter().cloned();
        self.tools
            .call(environment, service, operation, &parameters)
            .await
    }

    /// Calls S3 at an endpoint.
    pub(super) async fn s3_at(
        &self,
        endpoint: String,
        operation: &str,
        parameters: Value,
    ) -> Result<Value, CallError> {
        let endpoint = [("AWS_ENDPOINT_URL_S3", endpoint)];
        let environment = self.environment.iter().cloned().chain(endpoint);
        self.tools
            .call(environment, "s3", operation, &parameters)
            .await
    }

    /// Returns the items of all pages of an operation whose pages name the next one in
    /// `NextToken`.
    pub(super) async fn pages(
        &self,
        service: &str,
        operation: &str,
        mut parameters: Value,
        items: &str,
    ) -> Result<Vec<Value>, CallError> {
        let mut found = Vec::new();
        loop {
            let mut page = self.call(service, operation, parameters.clone()).await?;
            if let Value::Array(items) = page[items].take() {
                found.extend(items);
            }
            match page["NextToken"].take() {
                Value::String(token) if !token.is_empty() => parameters["NextToken"] = token.into(),
                _ => return Ok(found),
            }
        }
    }
}

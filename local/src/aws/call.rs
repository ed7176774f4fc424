use std::ffi::OsStr;
use std::path::Path;
use std::process::Output;

use serde::Deserialize;
use serde_json::Value;
use tokio::process::Command;

use crate::Repository;

/// Why an operation of AWS gave no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallError {
    /// The service, as boto3 names it.
    pub service: String,
    /// The operation, as boto3 names it.
    pub operation: String,
    /// The error code of AWS, or the name of botocore's exception if AWS was not reached.
    pub code: String,
    /// The explanation.
    pub message: String,
}

impl CallError {
    /// Returns the error of a call of an operation.
    pub fn new(
        service: &str,
        operation: &str,
        code: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            service: service.to_owned(),
            operation: operation.to_owned(),
            code: code.into(),
            message: message.into(),
        }
    }
}

impl std::fmt::Display for CallError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} {}: {}: {}",
            self.service, self.operation, self.code, self.message
        )
    }
}

impl std::error::Error for CallError {}

/// Calls an operation with this process's environment and some variables more.
pub(crate) async fn call(
    python: &Path,
    environment: impl IntoIterator<Item = (impl AsRef<OsStr>, impl AsRef<OsStr>)>,
    service: &str,
    operation: &str,
    parameters: &Value,
) -> Result<Value, CallError> {
    let mut call = Command::new(python);
    call.arg(Repository::here().path("local/aws_call.py"))
        .args([service, operation, &parameters.to_string()])
        .envs(environment);
    // An interrupted command leaves no call behind.
    let (code, message) = match call.kill_on_drop(true).output().await {
        Ok(output) if output.status.success() => match serde_json::from_slice(&output.stdout) {
            Ok(answer) => return Ok(answer),
            Err(error) => ("no JSON".to_owned(), error.to_string()),
        },
        Ok(output) => refusal(&output),
        Err(error) => ("cannot run python".to_owned(), error.to_string()),
    };
    Err(CallError::new(service, operation, code, message))
}

/// Returns code and message of a call that failed.
fn refusal(output: &Output) -> (String, String) {
    #[derive(Deserialize)]
    struct Refusal {
        code: String,
        message: String,
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().last().unwrap_or("no answer");
    match serde_json::from_str::<Refusal>(last) {
        Ok(refusal) => (refusal.code, refusal.message),
        Err(_) => (output.status.to_string(), last.to_owned()),
    }
}

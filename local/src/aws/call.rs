use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

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

/// A Python that calls AWS. Starting it takes half a second, a call a few milliseconds.
#[derive(Debug)]
pub(crate) struct Caller {
    calls: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    /// Ends with `calls`.
    _python: Child,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Outcome {
    Answer { answer: Value },
    Error { code: String, message: String },
}

impl Caller {
    /// Starts Python with this process's environment and some variables more.
    ///
    /// # Errors
    /// There is no such Python.
    pub(crate) fn start(
        python: &Path,
        environment: impl IntoIterator<Item = (impl AsRef<OsStr>, impl AsRef<OsStr>)>,
    ) -> Result<Self, CallError> {
        let script = Repository::here().path("local/aws_call.py");
        let started = Command::new(python)
            .arg(&script)
            .envs(environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C on a terminal would make it print where it was.
            .process_group(0)
            // An interrupted command leaves no call behind.
            .kill_on_drop(true)
            .spawn();
        let failed = |problem: String| {
            let (python, script) = (python.display(), script.display());
            CallError::new(
                &python.to_string(),
                &script.to_string(),
                "cannot start",
                problem,
            )
        };
        let mut child = started.map_err(|error| failed(error.to_string()))?;
        let (Some(calls), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed("it has no pipes".to_owned()));
        };
        Ok(Self {
            calls,
            answers: BufReader::new(answers).lines(),
            _python: child,
        })
    }

    /// Calls an operation. If this is cancelled, the next call would read the answer to
    /// this one: drop the caller.
    pub(crate) async fn call(
        &mut self,
        service: &str,
        operation: &str,
        parameters: &Value,
    ) -> Result<Value, CallError> {
        let outcome = self.exchange(service, operation, parameters).await;
        let (code, message) = match outcome {
            Ok(Outcome::Answer { answer }) => return Ok(answer),
            Ok(Outcome::Error { code, message }) => (code, message),
            Err(error) => ("no answer from python".to_owned(), error.to_string()),
        };
        Err(CallError::new(service, operation, code, message))
    }

    async fn exchange(
        &mut self,
        service: &str,
        operation: &str,
        parameters: &Value,
    ) -> std::io::Result<Outcome> {
        let call = json!({"service": service, "operation": operation, "parameters": parameters});
        self.calls.write_all(format!("{call}\n").as_bytes()).await?;
        let answer = self.answers.next_line().await?;
        let answer = answer.ok_or_else(|| std::io::Error::other("it has ended"))?;
        Ok(serde_json::from_str(&answer)?)
    }
}

/// Returns the items of a list in an answer; an absent list has none.
pub(crate) fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

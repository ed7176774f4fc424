use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustix::process::Signal;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::{ProcessId, Processes};

/// The functions' `Timeout` in template.yaml.
const INVOCATION_TIMEOUT: Duration = Duration::from_secs(30);
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A function's bootstrap behind our own Lambda runtime API. It takes larger batches than
/// ministack delivers, and gives figures of the function alone. Source:
/// <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>.
pub struct FunctionProcess {
    processes: Processes,
    process: ProcessId,
    invocations: mpsc::UnboundedSender<Invocation>,
    api: Arc<Api>,
    acceptor: JoinHandle<()>,
    started: Instant,
    number: u64,
}

/// A function's answer, or its error.
pub type FunctionAnswer = Result<Value, String>;

struct Invocation {
    id: String,
    event: Bytes,
    answer: oneshot::Sender<FunctionAnswer>,
}

struct Api {
    next: tokio::sync::Mutex<mpsc::UnboundedReceiver<Invocation>>,
    answers: Mutex<HashMap<String, oneshot::Sender<FunctionAnswer>>>,
    first_poll: watch::Sender<Option<Instant>>,
}

impl FunctionProcess {
    /// Starts a bootstrap with these variables and nothing else in its environment.
    ///
    /// # Errors
    /// The bootstrap cannot be started.
    pub async fn start(
        processes: &Processes,
        bootstrap: &Path,
        environment: &[(String, String)],
        log: &Path,
    ) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (invocations, next) = mpsc::unbounded_channel();
        let api = Arc::new(Api {
            next: next.into(),
            answers: Mutex::default(),
            first_poll: watch::channel(None).0,
        });
        let acceptor = tokio::spawn(accept(listener, Arc::clone(&api)));
        let mut command = Command::new(bootstrap);
        command
            .env_clear()
            .envs(environment.iter().map(|(name, value)| (name, value)));
        command
            .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", "function");
        command
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256");
        let started = Instant::now();
        let process = processes.start("function", &mut command, log).await?;
        Ok(Self {
            processes: processes.clone(),
            process,
            invocations,
            api,
            acceptor,
            started,
            number: 0,
        })
    }

    /// Waits until the function asks for its first event. Returns the time from its start
    /// until then.
    ///
    /// # Errors
    /// The function ended, or did not ask in time.
    pub async fn first_poll(&self) -> Result<Duration> {
        let mut first_poll = self.api.first_poll.subscribe();
        let polled = timeout(START_TIMEOUT, first_poll.wait_for(Option::is_some)).await;
        self.processes.expect_running(self.process).await?;
        let at = polled
            .context("the function did not ask for an event in time")??
            .context("no first poll")?;
        Ok(at.duration_since(self.started))
    }

    /// Gives an event to the function and returns its answer.
    ///
    /// # Errors
    /// The function ended, or did not answer in time.
    pub async fn invoke(&mut self, event: &Value) -> Result<FunctionAnswer> {
        self.first_poll().await?;
        self.number += 1;
        let (answer, answered) = oneshot::channel();
        let invocation = Invocation {
            id: format!("{:08}-0000-4000-8000-000000000000", self.number),
            event: event.to_string().into(),
            answer,
        };
        if self.invocations.send(invocation).is_err() {
            bail!("the runtime API is closed");
        }
        let answered = timeout(INVOCATION_TIMEOUT, answered).await;
        self.processes.expect_running(self.process).await?;
        Ok(answered.context("the function did not answer before its deadline")??)
    }

    /// Kills the function with kill -9, in the middle of its work.
    ///
    /// # Errors
    /// The function was stopped before.
    pub async fn kill(self) -> Result<()> {
        self.processes.signal(self.process, Signal::KILL).await;
        self.processes.wait(self.process).await?;
        Ok(())
    }

    /// Returns the process id.
    pub fn process(&self) -> ProcessId {
        self.process
    }

    /// Stops the function.
    ///
    /// # Errors
    /// The function has already ended.
    pub async fn stop(self) -> Result<()> {
        self.processes
            .stop(self.process, Duration::from_secs(2))
            .await
            .map(|_| ())
    }
}

impl Drop for FunctionProcess {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

async fn accept(listener: TcpListener, api: Arc<Api>) {
    while let Ok((stream, _)) = listener.accept().await {
        let api = Arc::clone(&api);
        tokio::spawn(async move {
            let service = service_fn(|request| api.clone().serve(request));
            // The connection breaks when the function is stopped.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

impl Api {
    async fn serve(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
        let path = request.uri().path().to_owned();
        let parts: Vec<&str> = path
            .trim_start_matches("/2018-06-01/runtime/")
            .split('/')
            .collect();
        match parts.as_slice() {
            ["invocation", "next"] => self.next().await,
            ["invocation", id, outcome @ ("response" | "error")] => {
                let body = request.into_body().collect().await?.to_bytes();
                let value: Value = serde_json::from_slice(&body)?;
                let answer = if *outcome == "response" {
                    Ok(value)
                } else {
                    Err(value["errorMessage"]
                        .as_str()
                        .unwrap_or_default()
                        .to_owned())
                };
                let waiting = self
                    .answers
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .remove(*id);
                // If the answer is too late, its receiver is gone.
                let _ = waiting.context("no such invocation")?.send(answer);
                respond(
                    Response::builder().status(StatusCode::ACCEPTED),
                    Bytes::new(),
                )
            }
            _ => respond(
                Response::builder().status(StatusCode::NOT_FOUND),
                Bytes::new(),
            ),
        }
    }

    async fn next(&self) -> Result<Response<Full<Bytes>>> {
        self.first_poll
            .send_if_modified(|first| first.replace(first.unwrap_or_else(Instant::now)).is_none());
        let Invocation { id, event, answer } = self
            .next
            .lock()
            .await
            .recv()
            .await
            .context("no more events")?;
        self.answers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id.clone(), answer);
        let deadline = SystemTime::now().duration_since(UNIX_EPOCH)? + INVOCATION_TIMEOUT;
        let response = Response::builder()
            .header("Lambda-Runtime-Aws-Request-Id", id)
            .header(
                "Lambda-Runtime-Deadline-Ms",
                deadline.as_millis().to_string(),
            )
            .header(
                "Lambda-Runtime-Invoked-Function-Arn",
                "arn:aws:lambda:us-east-1:000000000000:function:function",
            );
        respond(response, event)
    }
}

fn respond(response: hyper::http::response::Builder, body: Bytes) -> Result<Response<Full<Bytes>>> {
    Ok(response.body(Full::new(body))?)
}

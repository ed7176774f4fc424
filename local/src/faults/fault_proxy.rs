use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, anyhow};
use bytes::Bytes;
use fastrand::Rng;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A fault that the proxy injects into a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The answer is 500, and the request never arrives.
    InternalError,
    /// The answer is 503 SlowDown, and the request never arrives.
    SlowDown,
    /// The request arrives late, and so does its answer.
    Slow,
    /// The connection breaks, and the request never arrives.
    LostRequest,
    /// The request arrives, and the connection breaks before the answer.
    LostAnswer,
    /// The answer is 500, and a request that changes something arrives some seconds later.
    /// Its sender may have died by then.
    LateArrival,
    /// The answer to a conditional PUT is 409, and the request never arrives.
    Conflict,
    /// The request never arrives and never gets an answer, while the connection stays
    /// open. Never drawn, as no run would end.
    NoAnswer,
}

/// The PUTs that keep their `If-None-Match`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conditions {
    /// All of them.
    Kept,
    /// None, like a store that ignores conditions.
    Dropped,
    /// Only a consumer's probe at its start, so that the consumer starts and then works
    /// without conditions.
    KeptForProbes,
}

/// A proxy in front of S3 or another service of AWS. It injects the faults of networks
/// and overloaded services, drawn from a seed, and counts them.
pub struct FaultProxy {
    port: u16,
    world: Arc<World>,
    acceptor: JoinHandle<()>,
}

struct World {
    target: String,
    client: Client<HttpConnector, Full<Bytes>>,
    dice: Mutex<Dice>,
    /// Number of requests that have not arrived yet.
    late: AtomicU64,
    conditions: Conditions,
}

struct Dice {
    rng: Rng,
    /// Percentage of requests with a fault.
    rate: u8,
    /// Maximum delay of each request, in milliseconds. It widens the gap between two
    /// requests, so that an event can fall into it.
    latency: u64,
    /// Every PUT with this text in its path gets this fault.
    certain: Option<(&'static str, Fault)>,
    thrown: BTreeMap<Fault, u64>,
    /// Number of requests by their [`operation`].
    calls: BTreeMap<String, u64>,
}

impl FaultProxy {
    /// Listens on a free port of 127.0.0.1 for an S3 at `endpoint`. No fault is injected
    /// before a rate is set.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(endpoint: &str, seed: u64, conditions: Conditions) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let dice = Mutex::new(Dice {
            rng: Rng::with_seed(seed),
            rate: 0,
            latency: 0,
            certain: None,
            thrown: BTreeMap::new(),
            calls: BTreeMap::new(),
        });
        let client = Client::builder(TokioExecutor::new()).build_http();
        let target = endpoint.trim_end_matches('/').to_owned();
        let world = Arc::new(World {
            target,
            client,
            dice,
            late: AtomicU64::new(0),
            conditions,
        });
        let acceptor = tokio::spawn(accept(listener, Arc::clone(&world)));
        Ok(Self {
            port,
            world,
            acceptor,
        })
    }

    /// Returns the URL of the proxy.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Sets the percentage of requests with a fault.
    pub fn set_rate(&self, percent: u8) {
        self.world.dice().rate = percent;
    }

    /// Sets the maximum delay of a request in milliseconds, with or without a fault.
    pub fn set_latency(&self, milliseconds: u64) {
        self.world.dice().latency = milliseconds;
    }

    /// Injects a fault into every PUT with this text in its path. `None` ends it.
    pub fn set_certain(&self, certain: Option<(&'static str, Fault)>) {
        self.world.dice().certain = certain;
    }

    /// Returns the count of each injected fault.
    pub fn thrown(&self) -> BTreeMap<Fault, u64> {
        self.world.dice().thrown.clone()
    }

    /// Returns the number of calls of an operation: such as `AWSGlue.StartCrawler` of a
    /// service with a JSON protocol, otherwise the method, or `LIST` of S3.
    pub fn calls(&self, operation: &str) -> u64 {
        let dice = self.world.dice();
        dice.calls.get(operation).copied().unwrap_or_default()
    }

    /// Returns the number of requests that have not arrived yet.
    pub fn late(&self) -> u64 {
        self.world.late.load(Ordering::SeqCst)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

async fn accept(listener: TcpListener, world: Arc<World>) {
    while let Ok((stream, _)) = listener.accept().await {
        let world = Arc::clone(&world);
        tokio::spawn(async move {
            let service = service_fn(|request| world.clone().serve(request));
            // Broken connections are the purpose of this proxy.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

impl World {
    fn dice(&self) -> std::sync::MutexGuard<'_, Dice> {
        self.dice.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn latency(&self) -> Duration {
        let mut dice = self.dice();
        let max_millis = dice.latency;
        Duration::from_millis(dice.rng.u64(0..=max_millis))
    }

    /// Draws a fault and its duration, which only some faults use.
    fn draw(&self, request: &Parts) -> Option<(Fault, Duration)> {
        let is_put = request.method == Method::PUT;
        let mut dice = self.dice();
        let certain = dice
            .certain
            .filter(|(part, _)| is_put && request.uri.path().contains(part));
        if certain.is_none() && dice.rng.u8(0..100) >= dice.rate {
            return None;
        }
        // Changes get more kinds of faults, as they show more.
        let choice: &[Fault] = if is_put {
            &[
                Fault::InternalError,
                Fault::SlowDown,
                Fault::Slow,
                Fault::LostRequest,
                Fault::LostAnswer,
                Fault::LostAnswer,
                Fault::LateArrival,
                Fault::Conflict,
            ]
        } else if target(request).is_some_and(is_change) {
            &[
                Fault::InternalError,
                Fault::SlowDown,
                Fault::Slow,
                Fault::LostRequest,
                Fault::LostAnswer,
                Fault::LateArrival,
                Fault::LateArrival,
            ]
        } else {
            // A lost answer to a question is like a lost question.
            &[
                Fault::InternalError,
                Fault::SlowDown,
                Fault::Slow,
                Fault::LostAnswer,
            ]
        };
        let fault = certain.map_or_else(
            || choice[dice.rng.usize(0..choice.len())],
            |(_, fault)| fault,
        );
        *dice.thrown.entry(fault).or_default() += 1;
        Some((fault, Duration::from_millis(dice.rng.u64(100..3_000))))
    }

    async fn serve(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
        let (mut parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        parts.uri = format!("{}{path}", self.target).parse::<Uri>()?;
        let keeps_condition = match self.conditions {
            Conditions::Kept => true,
            Conditions::Dropped => false,
            Conditions::KeptForProbes => parts.uri.path().contains("/_probe/"),
        };
        if !keeps_condition {
            parts.headers.remove("if-none-match");
        }
        let operation = operation(&parts).to_owned();
        *self.dice().calls.entry(operation).or_default() += 1;
        let fault = self.draw(&parts);
        let latency = self.latency();
        tokio::time::sleep(latency).await;
        let request = Request::from_parts(parts, Full::new(body));
        match fault {
            None => self.forward(request).await,
            Some((Fault::InternalError, _)) => {
                Ok(refusal(StatusCode::INTERNAL_SERVER_ERROR, "InternalError"))
            }
            Some((Fault::SlowDown, _)) => Ok(refusal(StatusCode::SERVICE_UNAVAILABLE, "SlowDown")),
            Some((Fault::Conflict, _)) => {
                Ok(refusal(StatusCode::CONFLICT, "ConditionalRequestConflict"))
            }
            Some((Fault::NoAnswer, _)) => std::future::pending().await,
            Some((Fault::Slow, delay)) => {
                tokio::time::sleep(delay).await;
                self.forward(request).await
            }
            Some((Fault::LostRequest, _)) => Err(anyhow!("the request is lost")),
            Some((Fault::LostAnswer, _)) => {
                self.forward(request).await?;
                Err(anyhow!("the answer is lost"))
            }
            Some((Fault::LateArrival, delay)) => {
                self.late.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    // Its sender does not wait for the answer any more.
                    let _ = self.forward(request).await;
                    self.late.fetch_sub(1, Ordering::SeqCst);
                });
                Ok(refusal(StatusCode::INTERNAL_SERVER_ERROR, "InternalError"))
            }
        }
    }

    async fn forward(&self, request: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>> {
        let (parts, body) = self.client.request(request).await?.into_parts();
        Ok(Response::from_parts(
            parts,
            Full::new(body.collect().await?.to_bytes()),
        ))
    }
}

/// Returns the operation that the request asks of a service with a JSON protocol, such as
/// `AWSGlue.GetTable`.
fn target(request: &Parts) -> Option<&str> {
    request.headers.get("x-amz-target")?.to_str().ok()
}

/// Returns the name under which a request is counted.
fn operation(request: &Parts) -> &str {
    let is_list = request
        .uri
        .query()
        .is_some_and(|query| query.contains("list-type="));
    match target(request) {
        Some(target) => target,
        None if is_list => "LIST",
        None => request.method.as_str(),
    }
}

/// Returns whether an operation changes something.
fn is_change(target: &str) -> bool {
    let (_, operation) = target.split_once('.').unwrap_or(("", target));
    !["Get", "BatchGet", "List"]
        .iter()
        .any(|read| operation.starts_with(read))
}

fn refusal(status: StatusCode, code: &str) -> Response<Full<Bytes>> {
    let body = format!(
        "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>injected</Message></Error>"
    );
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response
}

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, anyhow};
use bytes::Bytes;
use fastrand::Rng;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What the proxy may do to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// It is answered with 500 and never arrives.
    InternalError,
    /// It is answered with 503 SlowDown and never arrives.
    SlowDown,
    /// It arrives late, and so does its answer.
    Slow,
    /// It arrives, and the connection breaks before the answer.
    LostAnswer,
    /// It is answered with 500, and arrives some seconds later: after its sender may have
    /// died.
    LateArrival,
    /// A conditional PUT is answered with 409, and never arrives.
    Conflict,
    /// It never arrives and is never answered, while the connection stays. Never drawn:
    /// no run would end.
    NoAnswer,
}

/// Which PUTs keep their `If-None-Match`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conditions {
    /// All of them.
    Kept,
    /// None: a store that ignores conditions.
    Dropped,
    /// Only the probe that a consumer begins with: it starts, and then works without
    /// conditions.
    KeptForProbes,
}

/// A proxy in front of S3 or another service of AWS that does to requests what networks
/// and overloaded services do, and counts them. Which, it draws from a seed.
pub struct FaultProxy {
    port: u16,
    world: Arc<World>,
    acceptor: JoinHandle<()>,
}

struct World {
    target: String,
    client: Client<HttpConnector, Full<Bytes>>,
    dice: Mutex<Dice>,
    /// Requests that are still to arrive.
    late: AtomicU64,
    conditions: Conditions,
}

struct Dice {
    rng: Rng,
    /// Percent of requests that meet a fault.
    rate: u8,
    /// Every request may be held up for so many milliseconds: what lies between two of
    /// them grows wide enough to be hit.
    latency: u64,
    /// Every PUT with this in its path meets this fault.
    certain: Option<(&'static str, Fault)>,
    thrown: BTreeMap<Fault, u64>,
    /// Requests by their `X-Amz-Target`, which names the operation of services that speak
    /// JSON.
    targets: BTreeMap<String, u64>,
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
            targets: BTreeMap::new(),
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

    /// Sets how many percent of the requests meet a fault.
    pub fn set_rate(&self, percent: u8) {
        self.world.dice().rate = percent;
    }

    /// Sets for how many milliseconds a request may be held up, fault or not.
    pub fn set_latency(&self, milliseconds: u64) {
        self.world.dice().latency = milliseconds;
    }

    /// Lets every PUT with this in its path meet a fault, or none any more.
    pub fn set_certain(&self, certain: Option<(&'static str, Fault)>) {
        self.world.dice().certain = certain;
    }

    /// Returns how often each fault was injected.
    pub fn thrown(&self) -> BTreeMap<Fault, u64> {
        self.world.dice().thrown.clone()
    }

    /// Returns how often an operation of a service that speaks JSON was called,
    /// `AWSGlue.StartCrawler`.
    pub fn calls(&self, target: &str) -> u64 {
        self.world
            .dice()
            .targets
            .get(target)
            .copied()
            .unwrap_or_default()
    }

    /// Returns how many requests are still to arrive.
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
            // A connection that breaks is what this is for.
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
        let most = dice.latency;
        Duration::from_millis(dice.rng.u64(0..=most))
    }

    /// Draws a fault, and for how long it lasts where it lasts.
    fn draw(&self, method: &Method, path: &str) -> Option<(Fault, Duration)> {
        let mut dice = self.dice();
        let certain = dice
            .certain
            .filter(|(part, _)| *method == Method::PUT && path.contains(part));
        if certain.is_none() && dice.rng.u8(0..100) >= dice.rate {
            return None;
        }
        // More is to be learned from PUTs.
        let choice: &[Fault] = match *method {
            Method::PUT => &[
                Fault::InternalError,
                Fault::SlowDown,
                Fault::Slow,
                Fault::LostAnswer,
                Fault::LostAnswer,
                Fault::LateArrival,
                Fault::Conflict,
            ],
            _ => &[
                Fault::InternalError,
                Fault::SlowDown,
                Fault::Slow,
                Fault::LostAnswer,
            ],
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
        if let Some(target) = parts
            .headers
            .get("x-amz-target")
            .and_then(|target| target.to_str().ok())
        {
            *self.dice().targets.entry(target.to_owned()).or_default() += 1;
        }
        let (fault, latency) = (self.draw(&parts.method, parts.uri.path()), self.latency());
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
            Some((Fault::LostAnswer, _)) => {
                self.forward(request).await?;
                Err(anyhow!("the answer is lost"))
            }
            Some((Fault::LateArrival, delay)) => {
                self.late.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    // Nobody waits for its answer any more.
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

fn refusal(status: StatusCode, code: &str) -> Response<Full<Bytes>> {
    let body = format!(
        "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>injected</Message></Error>"
    );
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response
}

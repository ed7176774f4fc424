use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tracing::info;

use crate::status::Status;

/// Upper bounds of histogram buckets, in seconds.
const BUCKET_SECONDS: [f64; 12] = [
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0,
];
/// Time before another attempt to accept a connection.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// Time between two clean-ups of the histograms.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Serves `/metrics` (Prometheus), `/health` (the process answers) and `/ready` (it is in
/// its group and reads its partitions).
///
/// # Errors
/// The address is taken, or none.
pub(crate) async fn serve(listen: &str, status: Arc<Status>) -> Result<()> {
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKET_SECONDS)?
        .build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).context("metrics are recorded already")?;
    crate::metrics::register();
    let listener = TcpListener::bind(listen).await;
    let listener = listener.with_context(|| {
        format!(
            "http.listen: cannot serve at {listen:?}; write host:port of this machine, with a \
             port that is free"
        )
    })?;
    let address = listener.local_addr()?;
    info!(event = "serving", %address, "serving /metrics, /health and /ready");
    let upkeep = handle.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP_INTERVAL).await;
            upkeep.run_upkeep();
        }
    });
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                // Without a pause it would spin while no file descriptor is free.
                tokio::time::sleep(ACCEPT_RETRY).await;
                continue;
            };
            let (handle, status) = (handle.clone(), Arc::clone(&status));
            let service = service_fn(move |request| {
                let response = answer(&request, &handle, &status);
                async { Ok::<_, Infallible>(response) }
            });
            let mut server = hyper::server::conn::http1::Builder::new();
            server
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(10));
            // A broken connection is the client's own affair.
            tokio::spawn(
                async move { server.serve_connection(TokioIo::new(stream), service).await },
            );
        }
    });
    Ok(())
}

fn answer(
    request: &Request<Incoming>,
    handle: &PrometheusHandle,
    status: &Status,
) -> Response<Full<Bytes>> {
    let (code, text) = match request.uri().path() {
        "/metrics" => (StatusCode::OK, crate::metrics::answer(handle, status)),
        "/health" => (StatusCode::OK, "ok\n".to_owned()),
        "/ready" => match status.problems().as_slice() {
            [] => (StatusCode::OK, "ready\n".to_owned()),
            problems => (StatusCode::SERVICE_UNAVAILABLE, problems.join("\n") + "\n"),
        },
        _ => (
            StatusCode::NOT_FOUND,
            "there are /metrics, /health and /ready\n".to_owned(),
        ),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = code;
    response
}

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

use crate::readiness::Readiness;

/// Upper bounds of histogram buckets, in seconds.
const SECONDS: [f64; 12] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0];
/// Time between two clean-ups of the histograms.
const UPKEEP: Duration = Duration::from_secs(5);

/// Serves `/metrics` (Prometheus), `/health` (the process answers) and `/ready` (it is in its group and reads what it has).
///
/// # Errors
/// The address is taken, or none.
pub(crate) async fn serve(listen: &str, readiness: Arc<Readiness>) -> Result<()> {
    let recorder = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?.build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).context("metrics are recorded already")?;
    describe();
    let listener = TcpListener::bind(listen).await;
    let listener = listener
        .with_context(|| format!("http.listen: cannot serve at {listen:?}; write host:port of this machine, with a port that is free"))?;
    info!(address = %listener.local_addr()?, "serving /metrics, /health and /ready");
    let upkeep = handle.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP).await;
            upkeep.run_upkeep();
        }
    });
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            let (handle, readiness) = (handle.clone(), Arc::clone(&readiness));
            let service = service_fn(move |request| {
                let response = answer(&request, &handle, &readiness);
                async { Ok::<_, Infallible>(response) }
            });
            let mut server = hyper::server::conn::http1::Builder::new();
            server.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(10));
            // What a client does to its connection is its own affair.
            tokio::spawn(async move { server.serve_connection(TokioIo::new(stream), service).await });
        }
    });
    Ok(())
}

fn answer(request: &Request<Incoming>, handle: &PrometheusHandle, readiness: &Readiness) -> Response<Full<Bytes>> {
    let (status, text) = match request.uri().path() {
        "/metrics" => (StatusCode::OK, handle.render()),
        "/health" => (StatusCode::OK, "ok\n".to_owned()),
        "/ready" if readiness.is_ready() => (StatusCode::OK, "ready\n".to_owned()),
        "/ready" => (StatusCode::SERVICE_UNAVAILABLE, "not in the group, or not reading every partition yet\n".to_owned()),
        _ => (StatusCode::NOT_FOUND, "there are /metrics, /health and /ready\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response
}

/// Every metric, with its unit in the name and its meaning.
fn describe() {
    metrics::describe_gauge!("ticklake_lag_records", "Records of a partition that have not landed, markers included");
    metrics::describe_gauge!(
        "ticklake_stalled_seconds",
        "For how long a partition has had records that do not land, none of them; 0 while some do or all have"
    );
    metrics::describe_gauge!(
        "ticklake_landing_delay_seconds",
        "From the Kafka timestamp of the newest batch's first record to its landing"
    );
    metrics::describe_gauge!("ticklake_ready", "1 while the consumer is in its group and reads every partition it has");
    metrics::describe_gauge!("ticklake_next_offset", "The offset behind what has landed of a partition");
    metrics::describe_gauge!("ticklake_buffered_bytes", "Memory of batches, open and being sealed");
    metrics::describe_gauge!("ticklake_open_batches", "Batches with records that are not being sealed yet");
    metrics::describe_histogram!("ticklake_freshness_seconds", "From the Kafka timestamp of a batch's first record to its landing");
    metrics::describe_histogram!("ticklake_seal_seconds", "From the beginning of a seal to its end");
    metrics::describe_counter!("ticklake_sealed_batches_total", "Batches that landed, by what they were sealed for");
    metrics::describe_counter!("ticklake_landed_records_total", "Records that landed as rows");
    metrics::describe_counter!("ticklake_dead_letters_total", "Records that landed as dead letters");
    metrics::describe_counter!(
        "ticklake_inexact_numbers_total",
        "Numbers that landed and that a double does not hold; their digits are in extra"
    );
    metrics::describe_counter!("ticklake_objects_total", "Objects created");
    metrics::describe_counter!("ticklake_object_bytes_total", "Bytes of objects created");
    metrics::describe_counter!("ticklake_lost_offsets_total", "Offsets registered as a gap at the log's start");
    metrics::describe_counter!("ticklake_retries_total", "Attempts that failed and are made again, by what they are");
    metrics::describe_counter!("ticklake_rebalances_total", "Assignments and revocations of partitions");
}

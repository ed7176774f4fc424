use anyhow::{Result, anyhow};
use metrics_cloudwatch_embedded::{Builder, Collector};

/// Namespace of the functions' metrics in CloudWatch.
const CLOUDWATCH_NAMESPACE: &str = "ticklake";

/// Starts to collect the values of `metrics::counter!` and `metrics::histogram!`. Labels
/// become dimensions beside `FunctionName`. Do not use `metrics::gauge!`: each flush
/// writes a gauge, even if the invocation has not measured it, so an alarm would never
/// end.
pub(crate) fn start(function: &str) -> Result<&'static Collector> {
    let builder = Builder::new()
        .cloudwatch_namespace(CLOUDWATCH_NAMESPACE)
        .with_dimension("FunctionName", function.to_owned());
    builder.init().map_err(|error| anyhow!("metrics: {error}"))
}

/// Writes the values since the last flush as a line in the embedded metric format, which
/// CloudWatch turns into metrics.
pub(crate) fn flush(collector: &Collector, request_id: &str) {
    if let Err(error) = collector
        .set_property("requestId", request_id)
        .flush(std::io::stdout())
    {
        tracing::warn!(%error, "cannot write the metrics");
    }
}

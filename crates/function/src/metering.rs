use anyhow::{Result, anyhow};
use metrics_cloudwatch_embedded::{Builder, Collector};

/// Namespace of the functions' metrics in CloudWatch.
const NAMESPACE: &str = "ticklake";

/// Starts to collect what `metrics::counter!` and `metrics::histogram!` are told; labels
/// become dimensions beside `FunctionName`. Not what `metrics::gauge!` is told: a gauge
/// is written at each flush, also by an invocation that has not measured it, and an alarm
/// would stick.
pub(crate) fn start(function: &str) -> Result<&'static Collector> {
    let builder = Builder::new()
        .cloudwatch_namespace(NAMESPACE)
        .with_dimension("FunctionName", function.to_owned());
    builder.init().map_err(|error| anyhow!("metrics: {error}"))
}

/// Writes what was collected since the last time as a line in the embedded metric format,
/// which CloudWatch turns into metrics.
pub(crate) fn flush(collector: &Collector, request_id: &str) {
    if let Err(error) = collector
        .set_property("requestId", request_id)
        .flush(std::io::stdout())
    {
        tracing::warn!(%error, "cannot write the metrics");
    }
}

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// Starts logging to standard error: plain lines on a terminal, JSON lines for a log
/// collector. Lines that programs look for have a field `event`, which stays when their
/// words change. `RUST_LOG` sets the level (default `info`).
///
/// # Errors
/// `RUST_LOG` is not a filter.
pub fn start_logs() -> anyhow::Result<()> {
    let directives = std::env::var("RUST_LOG").unwrap_or_else(|_| "info".to_owned());
    let filter = EnvFilter::try_new(&directives).map_err(|error| {
        anyhow::anyhow!(
            "environment variable RUST_LOG: {directives:?} is not a log filter ({error}); write \
             info, debug or tick_consumer=debug"
        )
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        builder.with_target(false).init();
    } else {
        builder
            .json()
            .flatten_event(true)
            // A partition's task has its number in its span.
            .with_span_list(false)
            .init();
    }
    Ok(())
}

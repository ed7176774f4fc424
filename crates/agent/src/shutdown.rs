use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Returns a token that is cancelled at the first SIGTERM or SIGINT. A second one ends
/// the process at once, with exit code 130.
///
/// # Errors
/// The system refuses the signal handlers.
pub fn shutdown_signal() -> std::io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let token = CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        for _ in 0..2 {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            if cancelled.is_cancelled() {
                tracing::warn!("second signal, leaving at once");
                std::process::exit(130);
            }
            tracing::info!("signal received, finishing");
            cancelled.cancel();
        }
    });
    Ok(token)
}

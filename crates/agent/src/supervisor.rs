use sd_notify::NotifyState;

/// Tells systemd that the agent does its work now (`Type=notify`); without systemd nobody
/// listens.
pub fn tell_ready() {
    if let Err(error) = sd_notify::notify(&[NotifyState::Ready]) {
        tracing::warn!(%error, "cannot tell systemd that the agent is ready");
    }
}

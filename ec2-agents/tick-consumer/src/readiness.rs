use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// Whether the consumer does its work: it is in its group, and every partition it has is being read.
#[derive(Debug, Default)]
pub(crate) struct Readiness {
    joined: AtomicBool,
    pending: AtomicUsize,
    told: OnceLock<()>,
}

impl Readiness {
    /// The group has given its first assignment, which may be empty.
    pub(crate) fn has_joined(&self) {
        self.joined.store(true, Ordering::Relaxed);
        self.show();
    }

    /// Counts a partition that is not being read yet.
    pub(crate) fn pending(self: &Arc<Self>) -> Pending {
        self.pending.fetch_add(1, Ordering::Relaxed);
        self.show();
        Pending(Some(Arc::clone(self)))
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.joined.load(Ordering::Relaxed) && self.pending.load(Ordering::Relaxed) == 0
    }

    /// Shows the gauge, and tells systemd the first time.
    fn show(&self) {
        let is_ready = self.is_ready();
        metrics::gauge!("ticklake_ready").set(f64::from(u8::from(is_ready)));
        if is_ready {
            self.told.get_or_init(agent::tell_ready);
        }
    }
}

/// A partition that is not being read yet.
#[derive(Debug)]
pub(crate) struct Pending(Option<Arc<Readiness>>);

impl Pending {
    /// It is being read.
    pub(crate) fn done(&mut self) {
        if let Some(readiness) = self.0.take() {
            readiness.pending.fetch_sub(1, Ordering::Relaxed);
            readiness.show();
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.done();
    }
}

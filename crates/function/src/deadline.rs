use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// The moment at which Lambda ends the invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline(Instant);

impl Deadline {
    /// Returns the deadline that Lambda announces. A deadline in the past is ignored, and
    /// the function's timeout counts: `cargo lambda watch` announces 1970.
    pub fn of(context: &lambda_runtime::Context, timeout: Duration) -> Self {
        Self::at(context.deadline(), SystemTime::now(), timeout)
    }

    fn at(announced: SystemTime, now: SystemTime, timeout: Duration) -> Self {
        Self::after(
            announced
                .duration_since(now)
                .ok()
                .filter(|left| !left.is_zero())
                .unwrap_or(timeout),
        )
    }

    /// Returns the deadline that is `left` from now.
    pub fn after(left: Duration) -> Self {
        Self(Instant::now() + left)
    }

    /// Returns the moment `margin` before the deadline, or now if that moment has passed.
    pub fn minus(self, margin: Duration) -> Instant {
        let now = Instant::now();
        self.0
            .checked_sub(margin)
            .map_or(now, |moment| moment.max(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_in_the_past_is_ignored() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_237_200);
        let left = |announced| {
            Deadline::at(announced, now, Duration::from_secs(30))
                .minus(Duration::ZERO)
                .duration_since(Instant::now())
                .as_secs_f64()
                .round()
        };
        assert_eq!(left(SystemTime::UNIX_EPOCH), 30.0);
        assert_eq!(left(now + Duration::from_secs(7)), 7.0);
    }
}

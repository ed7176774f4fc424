//! Retries of calls to S3 and Kafka, for as long as either is away. Whether an error may
//! pass is a property of its type ([`Retryable`]).

use std::fmt::Display;
use std::time::Duration;

use tracing::warn;

use crate::metrics;

/// The wait after the first failure. It doubles with each one that follows.
const RETRY_INITIAL: Duration = Duration::from_millis(100);
/// The longest wait.
const RETRY_MAX: Duration = Duration::from_secs(5);

/// An error that knows whether another attempt may succeed.
pub(crate) trait Retryable: Display {
    /// Returns false if another attempt cannot succeed.
    fn is_retryable(&self) -> bool;
}

/// Tries until it succeeds.
///
/// # Errors
/// Another attempt cannot succeed.
pub(crate) async fn retried<T, E: Retryable, F: Future<Output = Result<T, E>>>(
    operation: &str,
    mut attempt: impl FnMut() -> F,
) -> Result<T, E> {
    let mut attempts = 0;
    loop {
        match attempt().await {
            Err(error) if error.is_retryable() => wait(operation, attempts, &error).await,
            done => return done,
        }
        attempts += 1;
    }
}

/// Waits before the next attempt, after so many that failed before this one.
pub(crate) async fn wait(operation: &str, attempts: u32, error: &impl Display) {
    let wait = delay(attempts);
    metrics::RETRIES.count(operation);
    warn!(
        event = "retrying",
        operation,
        %error,
        retry_in_seconds = wait.as_secs_f64(),
        "cannot {operation}, trying again"
    );
    tokio::time::sleep(wait).await;
}

fn delay(attempts: u32) -> Duration {
    (RETRY_INITIAL * 2_u32.saturating_pow(attempts.min(10))).min(RETRY_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Failure(bool);

    impl Display for Failure {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a failure")
        }
    }

    impl Retryable for Failure {
        fn is_retryable(&self) -> bool {
            self.0
        }
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let millis = [0, 1, 5, 6, 99].map(|attempts| delay(attempts).as_millis());
        assert_eq!(millis, [100, 200, 3_200, 5_000, 5_000]);
    }

    #[tokio::test]
    async fn only_an_error_that_may_pass_is_tried_again() {
        let mut outcomes = vec![Ok(7), Err(Failure(true))];
        let outcome = retried("succeed", || {
            std::future::ready(outcomes.pop().expect("more"))
        });
        assert!(matches!(outcome.await, Ok(7)));
        let mut attempts = 0;
        let outcome = retried("succeed", || {
            attempts += 1;
            std::future::ready(Err::<(), _>(Failure(false)))
        });
        assert!(outcome.await.is_err());
        assert_eq!(attempts, 1);
    }
}

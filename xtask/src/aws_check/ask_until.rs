use std::time::Duration;

use anyhow::Result;
use tokio::time::{Instant, sleep};

/// Asks until an answer is the last one, or `patience` is over; returns the answer. There
/// is a pause of `between` after each other answer.
///
/// # Errors
/// Asking fails.
pub(super) async fn ask_until<T>(
    patience: Duration,
    between: Duration,
    ask: impl AsyncFn() -> Result<T>,
    is_last: impl Fn(&T) -> bool,
) -> Result<T> {
    let deadline = Instant::now() + patience;
    loop {
        let answer = ask().await?;
        if is_last(&answer) || Instant::now() > deadline {
            return Ok(answer);
        }
        sleep(between).await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn an_answer_that_is_not_the_last_is_returned_only_after_the_patience() {
        let number = Cell::new(0);
        let ask = async || Ok(number.replace(number.get() + 1));
        let [long, between] = [Duration::from_secs(60), Duration::ZERO];
        let third = ask_until(long, between, ask, |number| *number == 2).await;
        assert_eq!(third.ok(), Some(2));
        let (short, begun) = (Duration::from_millis(20), Instant::now());
        let never = ask_until(short, between, ask, |_| false).await;
        assert!(never.is_ok() && begun.elapsed() >= short);
    }
}

use std::time::Duration;

use fastrand::Rng;
use tokio::time::Instant;

/// The longest time until the second delivery of a message. By then its version may be
/// committed, or another one be planned.
const SECOND_MILLIS: u64 = 3_000;
/// The longest time until a failed message comes back.
const BACK_MILLIS: u64 = 500;

/// The messages that wait for a worker, in place of the poller of Lambda. Each message of
/// the queue is delivered twice, as if it had been sent twice.
pub(super) struct Deliveries {
    waiting: Vec<Delivery>,
    rng: Rng,
    /// Number of messages that were delivered.
    pub(super) delivered: u64,
}

/// A message that a worker gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Delivery {
    pub(super) body: String,
    /// How often it was received, this time included.
    pub(super) receives: u32,
    due: Instant,
}

impl Deliveries {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            waiting: Vec::new(),
            rng: Rng::with_seed(seed ^ 0x505),
            delivered: 0,
        }
    }

    /// Adds a message of the queue, twice.
    pub(super) fn add(&mut self, body: &str, now: Instant) {
        for millis in [0, self.rng.u64(0..SECOND_MILLIS)] {
            self.waiting.push(Delivery {
                body: body.to_owned(),
                receives: 1,
                due: now + Duration::from_millis(millis),
            });
        }
    }

    /// Takes a message that is due, any of them.
    pub(super) fn take(&mut self, now: Instant) -> Option<Delivery> {
        let due = |(place, delivery): (usize, &Delivery)| (delivery.due <= now).then_some(place);
        let due: Vec<usize> = self.waiting.iter().enumerate().filter_map(due).collect();
        let place = *due.get(self.rng.usize(0..due.len().max(1)))?;
        self.delivered += 1;
        Some(self.waiting.swap_remove(place))
    }

    /// Gives a message back whose worker has failed or died.
    pub(super) fn give_back(&mut self, delivery: Delivery, now: Instant) {
        let millis = self.rng.u64(0..BACK_MILLIS);
        self.waiting.push(Delivery {
            receives: delivery.receives + 1,
            due: now + Duration::from_millis(millis),
            ..delivery
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_twice_and_a_failed_one_again() {
        let mut deliveries = Deliveries::new(1);
        let now = Instant::now();
        deliveries.add("task", now);
        let first = deliveries.take(now).expect("the first");
        let later = now + Duration::from_millis(SECOND_MILLIS);
        let second = deliveries.take(later).expect("the second");
        assert_eq!((first.receives, second.receives), (1, 1));
        assert!(deliveries.is_empty());
        deliveries.give_back(second, later);
        let again = deliveries.take(later + Duration::from_millis(BACK_MILLIS));
        assert_eq!(again.map(|again| again.receives), Some(2));
        assert_eq!((deliveries.take(later), deliveries.delivered), (None, 3));
    }
}

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use anyhow::anyhow;
use futures::FutureExt as _;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer as _;
use tracing::{error, info, warn};

use super::reader::{PartitionReader, Queue};
use crate::landing::Landing;

/// The wait before a partition is tried again that has just been parked. It doubles with
/// each attempt.
const PARKED_RETRY_INITIAL: Duration = Duration::from_secs(5);
/// The longest wait.
const PARKED_RETRY_MAX: Duration = Duration::from_secs(60);

/// Keeps a fault of one partition from the others. If the process ended, the next
/// consumer would get the partition, and end too.
#[derive(Debug)]
struct Parking {
    /// The fault that was logged last.
    fault: String,
    wait: Duration,
}

impl Parking {
    fn new() -> Self {
        Self {
            fault: String::new(),
            wait: Duration::ZERO,
        }
    }

    /// Takes the fault of an attempt, which may have got as far as reading. Returns the
    /// wait before the next attempt, and whether the fault is news.
    fn take(&mut self, fault: &str, has_read: bool) -> (Duration, bool) {
        let is_new = has_read || self.fault != fault;
        self.wait = if is_new {
            PARKED_RETRY_INITIAL
        } else {
            (self.wait * 2).min(PARKED_RETRY_MAX)
        };
        fault.clone_into(&mut self.fault);
        (self.wait, is_new)
    }
}

impl PartitionReader {
    /// Lands the partition until it has to stop. A fault parks it: nothing of it is read
    /// or kept in memory until an attempt gets past the fault. All landed batches are
    /// whole.
    pub(crate) async fn run(mut self, mut queue: Queue) {
        let (finish, partition) = (self.stop.finish.clone(), self.sealer.partition);
        let mut parking = Parking::new();
        loop {
            let landing = Landing::new(
                self.bucket.clone(),
                self.topic.clone(),
                self.repairs.clone(),
                partition,
            );
            let landed = AssertUnwindSafe(self.land(&mut queue, landing))
                .catch_unwind()
                .await;
            let Err(fault) = landed.unwrap_or_else(|panic| Err(panicked(panic.as_ref()))) else {
                return;
            };
            let (fault, has_read) = (format!("{fault:#}"), std::mem::take(&mut self.has_read));
            self.rest();
            self.sealer.place.parked(&fault);
            let (wait, is_new) = parking.take(&fault, has_read);
            let retry_in_seconds = wait.as_secs();
            match is_new {
                true => error!(
                    event = "partition_parked",
                    fault,
                    retry_in_seconds,
                    "PARTITION PARKED: nothing of it lands until this is mended; the others go on"
                ),
                false => info!(
                    event = "partition_still_parked",
                    retry_in_seconds, "partition is still parked"
                ),
            }
            tokio::select! {
                () = finish.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Stops the reading. Records that were read and have not landed are dropped, those
    /// in librdkafka's queue by the pause: they are in Kafka.
    fn rest(&self) {
        let partition = self.sealer.partition;
        self.memory.set_open(partition, 0);
        let mut paused = TopicPartitionList::new();
        paused.add_partition(&self.sealer.topic, partition);
        if let Err(error) = self.sealer.consumer.pause(&paused) {
            warn!(%error, "cannot pause a parked partition");
        }
    }
}

fn panicked(panic: &(dyn Any + Send)) -> anyhow::Error {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    anyhow!(
        "its task panicked: {}; this is a fault in tick-consumer",
        text.unwrap_or("no message")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_grow_rare_and_only_a_new_fault_is_told() {
        let mut parking = Parking::new();
        let seconds = |(wait, is_new): (Duration, bool)| (wait.as_secs(), is_new);
        assert_eq!(seconds(parking.take("a", false)), (5, true));
        let waits: Vec<_> = (0..5).map(|_| seconds(parking.take("a", false))).collect();
        assert_eq!(
            waits,
            [
                (10, false),
                (20, false),
                (40, false),
                (60, false),
                (60, false)
            ]
        );
        assert_eq!(seconds(parking.take("b", false)), (5, true));
        assert_eq!(seconds(parking.take("b", false)), (10, false));
        assert_eq!(
            seconds(parking.take("b", true)),
            (5, true),
            "it had gone well meanwhile"
        );
    }

    #[test]
    fn a_panic_is_a_fault_of_its_partition() {
        let caught = std::panic::catch_unwind(|| panic!("at offset {}", 7)).expect_err("a panic");
        assert_eq!(
            panicked(caught.as_ref()).to_string(),
            "its task panicked: at offset 7; this is a fault in tick-consumer"
        );
    }
}
